module rival

go 1.22

require github.com/fatedier/frp v0.61.1

// As its own go.mod says: a replacement counts only in the module that is built.
replace github.com/hashicorp/yamux => github.com/fatedier/yamux v0.0.0-20230628132301-7aca4898904d

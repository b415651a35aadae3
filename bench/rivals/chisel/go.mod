module rival

go 1.22

require github.com/jpillora/chisel v1.10.1

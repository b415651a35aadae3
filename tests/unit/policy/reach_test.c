/* Who reaches what: the parts of the language for which nothing was captured. Each row is a policy and one question. */
#include "kit.h"

static const char world[] =
        "{\"users\": [{\"id\": \"1\", \"email\": \"alice@example.com\", \"role\": \"owner\"},"
        "  {\"id\": \"2\", \"email\": \"bob@example.com\", \"role\": \"network-admin\", \"groups\": [\"group:crew@example.com\"]},"
        "  {\"id\": \"3\", \"email\": \"carol@example.com\", \"role\": \"member\"},"
        "  {\"id\": \"4\", \"email\": \"dave@other.org\", \"type\": \"shared\"},"
        "  {\"id\": \"5\", \"email\": \"erin@example.com\", \"role\": \"auditor\"},"
        "  {\"id\": \"6\", \"email\": \"frank@example.com\", \"role\": \"it-admin\"},"
        "  {\"id\": \"7\", \"email\": \"grace@example.com\", \"role\": \"billing-admin\"},"
        "  {\"id\": \"8\", \"email\": \"heidi@example.com\", \"role\": \"admin\"}],"
        "\"nodes\": [{\"id\": \"a\", \"user\": \"1\", \"addresses\": [\"100.64.0.1\", \"fd7a:115c:a1e0::1\"],"
        "   \"attributes\": {\"node:os\": \"macos\", \"node:osVersion\": \"13.4.1\", \"custom:tier\": \"prod\","
        "     \"custom:score\": 87, \"custom:managed\": true, \"ip:country\": \"JP\"}},"
        "  {\"id\": \"a2\", \"user\": \"1\", \"addresses\": [\"100.64.0.101\", \"fd7a:115c:a1e0::101\"],"
        "    \"attributes\": {\"node:os\": \"ios\"}},"
        "  {\"id\": \"b\", \"user\": \"2\", \"addresses\": [\"100.64.0.2\"], \"attributes\": {\"node:os\": \"linux\"}},"
        "  {\"id\": \"c\", \"user\": \"3\", \"addresses\": [\"100.64.0.3\", \"fd7a:115c:a1e0::3\"]},"
        "  {\"id\": \"d\", \"user\": \"4\", \"addresses\": [\"100.64.0.4\"]},"
        "  {\"id\": \"e\", \"user\": \"5\", \"addresses\": [\"100.64.0.5\"]},"
        "  {\"id\": \"f\", \"user\": \"6\", \"addresses\": [\"100.64.0.6\"]},"
        "  {\"id\": \"g\", \"user\": \"7\", \"addresses\": [\"100.64.0.7\"]},"
        "  {\"id\": \"h\", \"user\": \"8\", \"addresses\": [\"100.64.0.8\"]},"
        "  {\"id\": \"db\", \"tags\": [\"tag:db\"], \"addresses\": [\"100.64.0.20\", \"fd7a:115c:a1e0::20\"]},"
        "  {\"id\": \"web\", \"tags\": [\"tag:web\"], \"addresses\": [\"100.64.0.21\", \"fd7a:115c:a1e0::21\"]},"
        "  {\"id\": \"r1\", \"tags\": [\"tag:r1\"], \"addresses\": [\"100.64.0.30\"],"
        "    \"advertisedRoutes\": [\"10.1.0.0/16\", \"10.9.0.0/16\"], \"approvedRoutes\": [\"10.1.0.0/16\"]},"
        "  {\"id\": \"r2\", \"tags\": [\"tag:r2\"], \"addresses\": [\"100.64.0.31\"],"
        "    \"approvedRoutes\": [\"10.1.0.0/16\", \"10.2.0.0/24\"]},"
        "  {\"id\": \"exit\", \"tags\": [\"tag:exit\"], \"addresses\": [\"100.64.0.40\"],"
        "    \"approvedRoutes\": [\"0.0.0.0/0\", \"::/0\"]}],"
        "\"services\": [{\"name\": \"wiki\"}, {\"name\": \"vip\", \"addresses\": [\"100.100.0.1\"]}],"
        "\"models\": [{\"name\": \"gpt-4o\", \"provider\": \"openai\"}, {\"name\": \"gpt-4o-mini\", \"provider\": \"openai\"},"
        "  {\"name\": \"claude\", \"provider\": \"anthropic\"}],"
        "\"providers\": [\"openai\", \"anthropic\"], \"tools\": [\"github.issues\", \"github.admin\"],"
        "\"time\": \"2027-01-31T09:00:00Z\"}";

#define TAGS                                                                                                   \
        "\"tagOwners\": {\"tag:db\": [], \"tag:web\": [], \"tag:r1\": [], \"tag:r2\": [], \"tag:exit\": []}, " \
        "\"groups\": {\"group:eng\": [\"alice@example.com\", \"carol@example.com\"], \"group:none\": []}, "    \
        "\"hosts\": {\"lan\": \"10.1.0.0/16\", \"one\": \"100.64.0.20\"}, "
#define GRANT(src, dst, more) "{" TAGS "\"grants\": [{\"src\": [" src "], \"dst\": [" dst "]" more "}]}"
#define ALL                   ", \"ip\": [\"*\"]"
#define POSTURE(conditions, more)                             \
        "{" TAGS "\"postures\": {\"posture:p\": [" conditions \
        "], \"posture:no\": [\"node:os == 'plan9'\"]}, "      \
        "\"grants\": [{\"src\": [\"autogroup:member\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"]" more "}]}"
#define SRC_POSTURE ", \"srcPosture\": [\"posture:p\"]"
#define IPSET(entries)                                          \
        "{" TAGS "\"ipsets\": {\"ipset:s\": [" entries          \
        "], \"ipset:t\": [\"10.1.2.0/24\", \"100.64.0.20\"]}, " \
        "\"grants\": [{\"src\": [\"autogroup:member\"], \"dst\": [\"ipset:s\"], \"ip\": [\"*\"]}]}"

struct question {
        const char *why, *policy, *from, *to, *given;
        int allowed;
};

static const struct question questions[] = {
        /* sections */
        { "neither section: all is allowed", "{}", "c", "db:22", NULL, 1 },
        { "an empty section: nothing is", "{\"acls\": []}", "c", "db:22", NULL, 0 },
        { "the other empty section", "{\"grants\": []}", "c", "db:22", NULL, 0 },
        { "null is absent", "{\"acls\": null}", "c", "db:22", NULL, 1 },
        { "old spellings",
          "{\"ACLs\": [{\"Action\": \"accept\", \"Users\": [\"*\"], \"Ports\": [\"*:22\"]}]}", "c", "db:22",
          NULL, 1 },

        /* people */
        { "a person", GRANT("\"carol@example.com\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 1 },
        { "addresses of people ignore case", GRANT("\"Carol@Example.COM\"", "\"tag:db\"", ALL), "c", "db:22",
          NULL, 1 },
        { "short name", GRANT("\"carol@\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 1 },
        { "somebody else", GRANT("\"carol@example.com\"", "\"tag:db\"", ALL), "b", "db:22", NULL, 0 },
        { "not back", GRANT("\"carol@example.com\"", "\"tag:db\"", ALL), "db", "c:22", NULL, 0 },
        { "a group", GRANT("\"group:eng\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 1 },
        { "not in the group", GRANT("\"group:eng\"", "\"tag:db\"", ALL), "b", "db:22", NULL, 0 },
        { "an empty group", GRANT("\"group:none\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 0 },
        { "a group that comes with the people", GRANT("\"group:crew@example.com\"", "\"tag:db\"", ALL), "b",
          "db:22", NULL, 1 },
        { "not in that one", GRANT("\"group:crew@example.com\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 0 },
        { "a domain", GRANT("\"user:*@example.com\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 1 },
        { "another domain", GRANT("\"user:*@example.com\"", "\"tag:db\"", ALL), "d", "db:22", NULL, 0 },
        { "members", GRANT("\"autogroup:member\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 1 },
        { "machines with tags are no members", GRANT("\"autogroup:member\"", "\"tag:db\"", ALL), "web",
          "db:22", NULL, 0 },
        { "shared in is no member", GRANT("\"autogroup:member\"", "\"tag:db\"", ALL), "d", "db:22", NULL, 0 },
        { "shared in", GRANT("\"autogroup:shared\"", "\"tag:db\"", ALL), "d", "db:22", NULL, 1 },
        { "members are not shared in", GRANT("\"autogroup:shared\"", "\"tag:db\"", ALL), "c", "db:22", NULL,
          0 },
        { "machines with tags", GRANT("\"autogroup:tagged\"", "\"tag:db\"", ALL), "web", "db:22", NULL, 1 },

        /* roles */
        { "owner", GRANT("\"autogroup:owner\"", "\"tag:db\"", ALL), "a", "db:22", NULL, 1 },
        { "the owner is no admin: roles are one each", GRANT("\"autogroup:admin\"", "\"tag:db\"", ALL), "a",
          "db:22", NULL, 0 },
        { "admin", GRANT("\"autogroup:admin\"", "\"tag:db\"", ALL), "h", "db:22", NULL, 1 },
        { "an admin is no owner", GRANT("\"autogroup:owner\"", "\"tag:db\"", ALL), "h", "db:22", NULL, 0 },
        { "network-admin", GRANT("\"autogroup:network-admin\"", "\"tag:db\"", ALL), "b", "db:22", NULL, 1 },
        { "a network admin is no admin", GRANT("\"autogroup:admin\"", "\"tag:db\"", ALL), "b", "db:22", NULL,
          0 },
        { "auditor", GRANT("\"autogroup:auditor\"", "\"tag:db\"", ALL), "e", "db:22", NULL, 1 },
        { "it-admin", GRANT("\"autogroup:it-admin\"", "\"tag:db\"", ALL), "f", "db:22", NULL, 1 },
        { "billing-admin", GRANT("\"autogroup:billing-admin\"", "\"tag:db\"", ALL), "g", "db:22", NULL, 1 },
        { "members have no role", GRANT("\"autogroup:auditor\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 0 },
        { "roles are members too", GRANT("\"autogroup:member\"", "\"tag:db\"", ALL), "e", "db:22", NULL, 1 },
        { "a role as destination", GRANT("\"carol@example.com\"", "\"autogroup:admin\"", ALL), "c", "h:22",
          NULL, 1 },
        { "another's machine", GRANT("\"carol@example.com\"", "\"autogroup:admin\"", ALL), "c", "e:22", NULL,
          0 },

        /* own machines */
        { "own machine", GRANT("\"autogroup:member\"", "\"autogroup:self\"", ALL), "a", "a2:22", NULL, 1 },
        { "not somebody else's", GRANT("\"autogroup:member\"", "\"autogroup:self\"", ALL), "a", "c:22", NULL,
          0 },
        { "not tagged ones", GRANT("\"autogroup:member\"", "\"autogroup:self\"", ALL), "a", "db:22", NULL,
          0 },
        { "only of who is named", GRANT("\"group:none\"", "\"autogroup:self\"", ALL), "a", "a2:22", NULL, 0 },
        { "self beside a tag", GRANT("\"group:eng\"", "\"autogroup:self\", \"tag:db\"", ALL), "c", "db:22",
          NULL, 1 },
        { "self beside a tag: own", GRANT("\"group:eng\"", "\"autogroup:self\", \"tag:db\"", ALL), "a",
          "a2:22", NULL, 1 },
        { "self beside a tag: others", GRANT("\"group:eng\"", "\"autogroup:self\", \"tag:db\"", ALL), "a",
          "c:22", NULL, 0 },

        /* ports */
        { "port", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"tcp:5432\"]"), "c", "db:5432", NULL, 1 },
        { "another port", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"tcp:5432\"]"), "c", "db:5433", NULL, 0 },
        { "another protocol", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"tcp:5432\"]"), "c", "db:5432/udp",
          NULL, 0 },
        { "range", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"80-90,443\"]"), "c", "db:85/udp", NULL, 1 },
        { "list", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"80-90,443\"]"), "c", "db:443", NULL, 1 },
        { "no protocol named: icmp as well", GRANT("\"*\"", "\"tag:db\"", ALL), "c", "db:icmp", NULL, 1 },
        { "no protocol named: no sctp", GRANT("\"*\"", "\"tag:db\"", ALL), "c", "db:22/sctp", NULL, 0 },
        { "sctp", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"sctp:*\"]"), "c", "db:22/sctp", NULL, 1 },
        { "a protocol by number", GRANT("\"*\"", "\"tag:db\"", ", \"ip\": [\"47:*\"]"), "c", "db:gre", NULL,
          1 },

        /* addresses */
        { "an address is that address alone", GRANT("\"100.64.0.3\"", "\"tag:db\"", ALL), "fd7a:115c:a1e0::3",
          "fd7a:115c:a1e0::20:22", NULL, 0 },
        { "its other family is not meant", GRANT("\"100.64.0.3\"", "\"tag:db\"", ALL), "fd7a:115c:a1e0::3",
          "[fd7a:115c:a1e0::20]:22", NULL, 0 },
        { "a host is an address", GRANT("\"*\"", "\"one\"", ALL), "c", "db:22", NULL, 1 },
        { "a host is no more than its address", GRANT("\"*\"", "\"one\"", ALL), "fd7a:115c:a1e0::3",
          "[fd7a:115c:a1e0::20]:22", NULL, 0 },
        { "a network as source", GRANT("\"100.64.0.0/29\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 1 },
        { "outside it", GRANT("\"100.64.0.0/31\"", "\"tag:db\"", ALL), "c", "db:22", NULL, 0 },

        /* postures ask the network's own machines, as the hosted service documents it */
        { "a machine that was shared in is not asked",
          "{" TAGS
          "\"postures\": {\"posture:no\": [\"node:os == 'plan9'\"]}, \"defaultSrcPosture\": [\"posture:no\"], "
          "\"grants\": [{\"src\": [\"autogroup:shared\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"]}]}",
          "d", "db:22", NULL, 1 },
        { "what lies behind a router is not asked",
          "{" TAGS "\"postures\": {\"posture:no\": [\"node:os == 'plan9'\"]}, "
          "\"grants\": [{\"src\": [\"*\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"], \"srcPosture\": [\"posture:no\"]}]}",
          "10.1.2.3", "db:22", NULL, 1 },
        { "an own machine is",
          "{" TAGS "\"postures\": {\"posture:no\": [\"node:os == 'plan9'\"]}, "
          "\"grants\": [{\"src\": [\"*\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"], \"srcPosture\": [\"posture:no\"]}]}",
          "c", "db:22", NULL, 0 },
        { "an address of ours that no machine has meets none",
          "{" TAGS "\"postures\": {\"posture:no\": [\"node:os == 'plan9'\"]}, "
          "\"grants\": [{\"src\": [\"100.64.0.0/10\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"], \"srcPosture\": [\"posture:no\"]}]}",
          "100.64.9.9", "db:22", NULL, 0 },
        { "an attribute alone is true", POSTURE("\"custom:managed\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "or it is not", POSTURE("\"custom:absent\"", SRC_POSTURE), "a", "db:22", NULL, 0 },

        /* routes */
        { "behind a router", GRANT("\"*\"", "\"lan\"", ALL), "c", "10.1.2.3:22", NULL, 1 },
        { "a part of a route", GRANT("\"*\"", "\"10.1.2.0/24\"", ALL), "c", "10.1.2.3:22", NULL, 1 },
        { "the rest of the route", GRANT("\"*\"", "\"10.1.2.0/24\"", ALL), "c", "10.1.3.3:22", NULL, 0 },
        { "advertised alone is not approved", GRANT("\"*\"", "\"10.9.0.0/16\"", ALL), "c", "10.9.0.1:22",
          NULL, 0 },
        { "the router itself is not its network", GRANT("\"*\"", "\"lan\"", ALL), "c", "r1:22", NULL, 0 },
        { "the router's tag is not its network", GRANT("\"*\"", "\"tag:r1\"", ALL), "c", "10.1.2.3:22", NULL,
          0 },
        { "from behind a router", GRANT("\"*\"", "\"tag:db\"", ALL), "10.1.2.3", "db:22", NULL, 1 },
        { "from nowhere", GRANT("\"*\"", "\"tag:db\"", ALL), "10.8.2.3", "db:22", NULL, 0 },
        { "from nowhere, to be sure", GRANT("\"autogroup:danger-all\"", "\"tag:db\"", ALL), "10.8.2.3",
          "db:22", NULL, 1 },
        { "the internet through an exit node", GRANT("\"*\"", "\"autogroup:internet\"", ALL), "c",
          "8.8.8.8:443", NULL, 1 },
        { "a private address is not the internet", GRANT("\"*\"", "\"autogroup:internet\"", ALL), "c",
          "192.168.1.1:443", NULL, 0 },
        { "the internet needs its own name", GRANT("\"*\"", "\"tag:exit\"", ALL), "c", "8.8.8.8:443", NULL,
          0 },
        { "the internet is no machine", GRANT("\"*\"", "\"autogroup:internet\"", ALL), "c", "db:443", NULL,
          0 },

        { "\"*\" is the internet, too", GRANT("\"*\"", "\"*\"", ALL), "c", "8.8.8.8:443", NULL, 1 },
        { "and its IPv6", GRANT("\"*\"", "\"*\"", ALL), "c", "[2606:4700::1]:443", NULL, 1 },
        { "a prefix does not go through an exit node", GRANT("\"*\"", "\"8.8.8.0/24\"", ALL), "c",
          "8.8.8.8:443", NULL, 0 },

        /* via */
        { "via a router that has the tag", GRANT("\"*\"", "\"lan\"", ALL ", \"via\": [\"tag:r2\"]"), "c",
          "10.1.2.3:22", NULL, 1 },
        { "via a router without that route", GRANT("\"*\"", "\"10.2.0.0/24\"", ALL ", \"via\": [\"tag:r1\"]"),
          "c", "10.2.0.3:22", NULL, 0 },
        { "via what is no router", GRANT("\"*\"", "\"lan\"", ALL ", \"via\": [\"tag:web\"]"), "c",
          "10.1.2.3:22", NULL, 0 },
        { "via an exit node", GRANT("\"*\"", "\"autogroup:internet\"", ALL ", \"via\": [\"tag:exit\"]"), "c",
          "8.8.8.8:443", NULL, 1 },
        { "via a router that is no exit",
          GRANT("\"*\"", "\"autogroup:internet\"", ALL ", \"via\": [\"tag:r1\"]"), "c", "8.8.8.8:443", NULL,
          0 },

        /* ipsets */
        { "an entry adds", IPSET("\"100.64.0.20\""), "c", "db:22", NULL, 1 },
        { "add", IPSET("\"add 100.64.0.0/24\""), "c", "db:22", NULL, 1 },
        { "remove", IPSET("\"add 100.64.0.0/24\", \"remove 100.64.0.20\""), "c", "db:22", NULL, 0 },
        { "the rest stays", IPSET("\"add 100.64.0.0/24\", \"remove 100.64.0.20\""), "c", "web:22", NULL, 1 },
        { "order counts", IPSET("\"remove 100.64.0.20\", \"add 100.64.0.0/24\""), "c", "db:22", NULL, 1 },
        { "a set of sets", IPSET("\"ipset:t\""), "c", "db:22", NULL, 1 },
        { "a set taken out", IPSET("\"100.64.0.0/16\", \"remove ipset:t\""), "c", "db:22", NULL, 0 },
        { "a host", IPSET("\"add host:one\""), "c", "db:22", NULL, 1 },
        { "a host by its bare name", IPSET("\"one\""), "c", "db:22", NULL, 1 },
        { "a span", IPSET("\"100.64.0.19-100.64.0.20\""), "c", "db:22", NULL, 1 },
        { "beside the span", IPSET("\"100.64.0.19-100.64.0.20\""), "c", "web:22", NULL, 0 },
        { "behind a router", IPSET("\"ipset:t\""), "c", "10.1.2.9:22", NULL, 1 },
        { "a set as source",
          "{" TAGS "\"ipsets\": {\"ipset:s\": [\"100.64.0.3\"]}, \"grants\": [{\"src\": [\"ipset:s\"], "
          "\"dst\": [\"tag:db\"], \"ip\": [\"*\"]}]}",
          "c", "db:22", NULL, 1 },

        /* a service with addresses of its own */
        { "its address is no machine's", GRANT("\"*\"", "\"svc:vip\"", ALL), "c", "db:22", NULL, 0 },

        /* postures */
        { "equal", POSTURE("\"node:os == 'macos'\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "not equal", POSTURE("\"node:os == 'macos'\"", SRC_POSTURE), "b", "db:22", NULL, 0 },
        { "differs", POSTURE("\"node:os != 'macos'\"", SRC_POSTURE), "b", "db:22", NULL, 1 },
        { "what is not known does not differ", POSTURE("\"node:os != 'macos'\"", SRC_POSTURE), "c", "db:22",
          NULL, 0 },
        { "in", POSTURE("\"node:os IN ['linux', 'macos']\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "not in", POSTURE("\"node:os NOT IN ['linux', 'macos']\"", SRC_POSTURE), "a", "db:22", NULL, 0 },
        { "not in, not known", POSTURE("\"node:os NOT IN ['linux']\"", SRC_POSTURE), "c", "db:22", NULL, 0 },
        { "version", POSTURE("\"node:osVersion >= '13.4'\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "version as numbers", POSTURE("\"node:osVersion < '13.10'\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "number", POSTURE("\"custom:score > 80\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "number too small", POSTURE("\"custom:score > 90.5\"", SRC_POSTURE), "a", "db:22", NULL, 0 },
        { "a number is no text", POSTURE("\"custom:score == '87'\"", SRC_POSTURE), "a", "db:22", NULL, 0 },
        { "truth", POSTURE("\"custom:managed == true\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "set", POSTURE("\"custom:tier IS SET\"", SRC_POSTURE), "a", "db:22", NULL, 1 },
        { "not set", POSTURE("\"custom:tier NOT SET\"", SRC_POSTURE), "a", "db:22", NULL, 0 },
        { "not set, not known", POSTURE("\"custom:tier NOT SET\"", SRC_POSTURE), "c", "db:22", NULL, 1 },
        { "all conditions", POSTURE("\"node:os == 'macos'\", \"custom:score < 50\"", SRC_POSTURE), "a",
          "db:22", NULL, 0 },
        { "any posture",
          POSTURE("\"node:os == 'macos'\"", ", \"srcPosture\": [\"posture:no\", \"posture:p\"]"), "a",
          "db:22", NULL, 1 },
        { "one that nobody meets", POSTURE("\"node:os == 'macos'\"", ", \"srcPosture\": [\"posture:no\"]"),
          "a", "db:22", NULL, 0 },
        { "the default posture",
          "{" TAGS
          "\"postures\": {\"posture:p\": [\"node:os == 'macos'\"]}, \"defaultSrcPosture\": [\"posture:p\"], "
          "\"grants\": [{\"src\": [\"*\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"]}]}",
          "b", "db:22", NULL, 0 },
        { "the default posture, met",
          "{" TAGS
          "\"postures\": {\"posture:p\": [\"node:os == 'macos'\"]}, \"defaultSrcPosture\": [\"posture:p\"], "
          "\"grants\": [{\"src\": [\"*\"], \"dst\": [\"tag:db\"], \"ip\": [\"*\"]}]}",
          "a", "db:22", NULL, 1 },
        { "a posture of its own instead of the default",
          "{" TAGS
          "\"postures\": {\"posture:p\": [\"node:os == 'macos'\"], \"posture:l\": [\"node:os == 'linux'\"]}, "
          "\"defaultSrcPosture\": [\"posture:p\"], \"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], "
          "\"dst\": [\"tag:db:*\"], \"srcPosture\": [\"posture:l\"]}]}",
          "b", "db:22", NULL, 1 },
        { "what is no machine meets no posture", POSTURE("\"custom:tier NOT SET\"", SRC_POSTURE), "10.1.2.3",
          "db:22", NULL, 0 },

        /* above the network */
        { "a service", GRANT("\"group:eng\"", "\"service:wiki\"", ""), "carol@example.com", "service:wiki",
          NULL, 1 },
        { "by machine", GRANT("\"group:eng\"", "\"service:wiki\"", ""), "c", "service:wiki", NULL, 1 },
        { "not theirs", GRANT("\"group:eng\"", "\"service:wiki\"", ""), "bob@example.com", "service:wiki",
          NULL, 0 },
        { "a stranger", GRANT("\"*\"", "\"service:wiki\"", ""), "anonymous", "service:wiki", NULL, 0 },
        { "a stranger, to be sure", GRANT("\"autogroup:danger-all\"", "\"service:wiki\"", ""), "anonymous",
          "service:wiki", NULL, 1 },
        { "any of us", GRANT("\"*\"", "\"service:wiki\"", ""), "web", "service:wiki", NULL, 1 },
        { "a pattern", GRANT("\"tag:web\"", "\"model:gpt-*\"", ""), "web", "model:gpt-4o", NULL, 1 },
        { "outside the pattern", GRANT("\"tag:web\"", "\"model:gpt-*\"", ""), "web", "model:claude", NULL,
          0 },
        { "an unlisted model of the pattern", GRANT("\"tag:web\"", "\"model:gpt-*\"", ""), "web",
          "model:gpt-9", NULL, 1 },
        { "a provider brings its models", GRANT("\"tag:web\"", "\"provider:openai\"", ""), "web",
          "model:gpt-4o", NULL, 1 },
        { "and no other's", GRANT("\"tag:web\"", "\"provider:openai\"", ""), "web", "model:claude", NULL, 0 },
        { "a model does not bring its provider", GRANT("\"tag:web\"", "\"model:*\"", ""), "web",
          "provider:openai", NULL, 0 },
        { "a tool", GRANT("\"tag:web\"", "\"tool:github.issues\"", ""), "web", "tool:github.issues", NULL,
          1 },
        { "another tool", GRANT("\"tag:web\"", "\"tool:github.issues\"", ""), "web", "tool:github.admin",
          NULL, 0 },
        { "packets are another matter", GRANT("\"*\"", "\"service:wiki\"", ""), "c", "web:443", NULL, 0 },
        { "\"*\" is no service", GRANT("\"*\"", "\"*\"", ALL), "c", "service:wiki", NULL, 0 },
        { "from an address", GRANT("\"192.0.2.0/24\"", "\"service:wiki\"", ""), "anonymous", "service:wiki",
          "{\"address\": \"192.0.2.7\"}", 1 },
        { "from another address", GRANT("\"192.0.2.0/24\"", "\"service:wiki\"", ""), "anonymous",
          "service:wiki", "{\"address\": \"192.0.3.7\"}", 0 },
        { "from no known address", GRANT("\"192.0.2.0/24\"", "\"service:wiki\"", ""), "anonymous",
          "service:wiki", NULL, 0 },

        /* conditions */
        { "address", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"address\": [\"192.0.2.0/24\"]}"), "c",
          "service:wiki", "{\"address\": \"192.0.2.1\"}", 1 },
        { "address not known",
          GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"address\": [\"192.0.2.0/24\"]}"), "c",
          "service:wiki", NULL, 0 },
        { "country", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"country\": [\"jp\", \"DE\"]}"), "c",
          "service:wiki", "{\"country\": \"JP\"}", 1 },
        { "another country", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"country\": [\"JP\"]}"), "c",
          "service:wiki", "{\"country\": \"US\"}", 0 },
        { "strength", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"auth\": \"mfa\"}"), "c",
          "service:wiki", "{\"auth\": \"hardware\"}", 1 },
        { "too weak", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"auth\": \"mfa\"}"), "c",
          "service:wiki", "{\"auth\": \"password\"}", 0 },
        { "before", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"before\": \"2027-01-01T00:00:00Z\"}"),
          "c", "service:wiki", NULL, 0 },
        { "after", GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"after\": \"2027-01-01T00:00:00Z\"}"),
          "c", "service:wiki", NULL, 1 },
        { "hours: a Sunday",
          GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"hours\": [{\"days\": [\"mon\"]}]}"), "c",
          "service:wiki", NULL, 0 },
        { "hours: a Monday",
          GRANT("\"*\"", "\"service:wiki\"", ", \"when\": {\"hours\": [{\"days\": [\"mon\"]}]}"), "c",
          "service:wiki", "{\"time\": \"2027-02-01T00:00:00Z\"}", 1 },
        { "hours: Monday there",
          GRANT("\"*\"", "\"service:wiki\"",
                ", \"when\": {\"hours\": [{\"days\": [\"mon\"], \"utcOffset\": \"+09:00\"}]}"),
          "c", "service:wiki", "{\"time\": \"2027-01-31T15:00:00Z\"}", 1 },
        { "hours: past midnight",
          GRANT("\"*\"", "\"service:wiki\"",
                ", \"when\": {\"hours\": [{\"days\": [\"sat\"], \"from\": \"22:00\", \"to\": \"10:00\"}]}"),
          "c", "service:wiki", NULL, 1 },
        { "posture above the network",
          "{" TAGS "\"postures\": {\"posture:p\": [\"node:os == 'macos'\"]}, \"grants\": [{\"src\": [\"*\"], "
          "\"dst\": [\"service:wiki\"], \"srcPosture\": [\"posture:p\"]}]}",
          "a", "service:wiki", NULL, 1 },
        { "posture not met above the network",
          "{" TAGS "\"postures\": {\"posture:p\": [\"node:os == 'macos'\"]}, \"grants\": [{\"src\": [\"*\"], "
          "\"dst\": [\"service:wiki\"], \"srcPosture\": [\"posture:p\"]}]}",
          "b", "service:wiki", NULL, 0 },

        /* limits */
        { "method and path",
          GRANT("\"*\"", "\"service:wiki\"",
                ", \"app\": {\"sekisho.dev/cap/limits\": [{\"methods\": [\"GET\"], \"paths\": [\"/docs/*\"]}]}"),
          "c", "service:wiki", "{\"method\": \"GET\", \"path\": \"/docs/a\"}", 1 },
        { "another method",
          GRANT("\"*\"", "\"service:wiki\"",
                ", \"app\": {\"sekisho.dev/cap/limits\": [{\"methods\": [\"GET\"], \"paths\": [\"/docs/*\"]}]}"),
          "c", "service:wiki", "{\"method\": \"POST\", \"path\": \"/docs/a\"}", 0 },
        { "another set of limits lets it",
          GRANT("\"*\"", "\"service:wiki\"",
                ", \"app\": {\"sekisho.dev/cap/limits\": [{\"methods\": [\"GET\"]}, {\"paths\": [\"/docs/*\"]}]}"),
          "c", "service:wiki", "{\"method\": \"POST\", \"path\": \"/docs/a\"}", 1 },
};

static void test_questions(void **state)
{
        int wrong = 0;

        for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
                const struct question *q = &questions[i];
                struct policy_tables *t = kit_tables(q->policy, world);
                int got = t ? kit_ask(t, q->from, q->to, q->given) : -2;

                if (got != q->allowed) {
                        print_error("%s: %s to %s: got %d, wanted %d %s\n%s\n", q->why, q->from, q->to, got,
                                    q->allowed, got < 0 ? kit_report : "", q->policy);
                        wrong++;
                }
                policy_tables_put(t);
        }
        assert_int_equal(wrong, 0);
}

/* Each capability grant, on the machine it is meant for and on no other. */
static void test_told(void **state)
{
        static const struct {
                const char *why, *policy, *node,
                        *wanted; /* wanted: a part of what the node is told; "!": absent */
        } cases[] = {
                { "an app grant",
                  GRANT("\"carol@example.com\"", "\"tag:db\"",
                        ", \"app\": {\"example.com/cap/x\": [{\"a\": 1}]}"),
                  "db", "\"example.com/cap/x\":[{\"a\":1}]" },
                { "not on another",
                  GRANT("\"carol@example.com\"", "\"tag:db\"",
                        ", \"app\": {\"example.com/cap/x\": [{\"a\": 1}]}"),
                  "web", "!example.com/cap/x" },
                { "nodeAttrs",
                  "{" TAGS "\"nodeAttrs\": [{\"target\": [\"tag:db\"], \"attr\": [\"custom-a\"]}]}", "db",
                  "\"custom-a\":" },
                { "nodeAttrs of another",
                  "{" TAGS "\"nodeAttrs\": [{\"target\": [\"tag:db\"], \"attr\": [\"custom-a\"]}]}", "web",
                  "!custom-a" },
                { "nodeAttrs by role",
                  "{" TAGS
                  "\"nodeAttrs\": [{\"target\": [\"autogroup:auditor\"], \"attr\": [\"custom-a\"]}]}",
                  "e", "\"custom-a\":" },
                { "nodeAttrs by address",
                  "{" TAGS "\"nodeAttrs\": [{\"target\": [\"100.64.0.0/29\"], \"attr\": [\"custom-a\"]}]}",
                  "c", "\"custom-a\":" },
                { "what is above the network is not told to machines", GRANT("\"*\"", "\"service:wiki\"", ""),
                  "db", "\"packet_filter_rules\":[]" },
                { "a posture narrows the sources", POSTURE("\"node:os == 'macos'\"", SRC_POSTURE), "db",
                  "\"SrcIPs\":[\"100.64.0.1\",\"fd7a:115c:a1e0::1\"]" },
        };
        struct arena arena;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_tables *t = kit_tables_must(cases[i].policy, world);

                arena_init(&arena, NULL, 0, 1 << 22);
                struct str told = kit_told(t, &arena, str_of(cases[i].node));
                bool absent = cases[i].wanted[0] == '!';
                if ((str_find(told, str_of(cases[i].wanted + absent)) == STR_NONE) != absent)
                        fail_msg("%s: %.*s", cases[i].why, STR_FMT(told));
                arena_fini(&arena);
                policy_tables_put(t);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_questions),
                cmocka_unit_test(test_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

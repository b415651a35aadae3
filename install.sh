#!/bin/sh
# install.sh - puts a role of Sekisho on this machine, or brings it up to date, or takes it away. Run it from a checkout (it
# builds) or from an unpacked release archive. It fetches nothing; a checkout's build installs Debian packages by name.
set -eu
umask 022

usage() {
    cat <<'END'
usage: install.sh control|gateway|agent [options]
       install.sh --uninstall|--purge control|gateway|agent [--root DIR]

Installs the program, a system user of its own for the role, its configuration, state folder and hardened systemd unit, starts
it and looks whether it serves. Run again it upgrades: configuration and state stay as they are.

  --join TOKEN@URL    gateway, agent: belong to that control ("-": the line on standard input, so that `ps` never has it)
  --name NAME         with --join: what control is to call this machine (else the host's name)
  --listen ADDRESS    control, gateway: where to listen, as 203.0.113.7:443 or :8000
  --bind HOST         the same without the port: an address, "any", or "tailnet"
                      (when nothing is said: the tailnet's address where there is one, else any)
  --no-tailnet        do not look for a tailnet
  --no-start          install only
  --build DIR         take the program from this finished build
  --archive FILE      take the program from this release archive (FILE.sha256 is checked where it is there)
  --root DIR          put the files below DIR, for an image or a look: no user is made, nothing is started
  --uninstall         stop the role and take it away; its configuration, state and user stay
  --purge             these, too
  -h, --help          print this

examples:
  sudo ./install.sh control
  sudo ./install.sh agent --name home --join -
  sudo ./install.sh gateway --listen 203.0.113.7:443 --join skauth-...@https://control.example.com:8000
END
}

say() { printf '%s\n' "$*"; }
problem() { printf 'install.sh: %s\n' "$*" >&2; }
fail() { problem "$@"; exit 1; }
wrong() { problem "$@"; problem "install.sh --help says what there is"; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
role='' join='' name='' listen='' bind='' root='' build='' archive='' action=install start=1 tailnet=1

# ---- the command line ----

value_of() { # OPTION COUNT - a value must follow
    [ "$2" -ge 2 ] || wrong "$1 needs a value"
}

while [ $# -gt 0 ]; do
    case $1 in
    control | gateway | agent)
        [ -z "$role" ] || wrong "one role at a time"
        role=$1 ;;
    --join) value_of "$1" $#; join=$2; shift ;;
    --name) value_of "$1" $#; name=$2; shift ;;
    --listen) value_of "$1" $#; listen=$2; shift ;;
    --bind) value_of "$1" $#; bind=$2; shift ;;
    --root) value_of "$1" $#; root=$2; shift ;;
    --build) value_of "$1" $#; build=$2; shift ;;
    --archive) value_of "$1" $#; archive=$2; shift ;;
    --no-tailnet) tailnet='' ;;
    --no-start) start='' ;;
    --uninstall) action=uninstall ;;
    --purge) action=purge ;;
    -h | --help) usage; exit 0 ;;
    *) wrong "\"$1\" is no role and no option" ;;
    esac
    shift
done
[ -n "$role" ] || wrong "say which role: control, gateway or agent"
if [ "$join" = - ]; then
    IFS= read -r join || [ -n "$join" ] || wrong "--join -: there is no line on standard input"
fi
[ "$role" != control ] || [ -z "$join$name" ] || wrong "control joins nobody; --join and --name are for gateways and agents"
[ "$role" != agent ] || [ -z "$listen$bind" ] || wrong "an agent listens nowhere; --listen and --bind are for control and gateways"
[ -z "$listen" ] || [ -z "$bind" ] || wrong "--listen says the address, too; leave --bind out"
[ -z "$name" ] || [ -n "$join" ] || wrong "--name goes with --join"
[ -z "$build" ] || [ -z "$archive" ] || wrong "--build and --archive are two places to take the program from"
case $join in
'' | skauth-?*@https://?*) ;;
*) wrong "--join wants what \`sekisho node invite $role\` prints: skauth-...@https://CONTROL:8000" ;;
esac
# What goes into the configuration as text must need no quoting there.
case $listen$bind$name in
*[!A-Za-z0-9.:_%@-]*)
    case $listen in
    \[*\]:*) ;;
    *) wrong "an address or a name has characters that none has" ;;
    esac ;;
esac

user=sekisho-$role
unit=sekisho-$role.service
program=$root/usr/local/bin/sekisho
units=$root/etc/systemd/system
config=$root/etc/sekisho/$role.json
[ "$role" != gateway ] || config=$root/etc/sekisho/sekisho.json
join_file=$root/etc/sekisho/$role.join
state=$root/var/lib/sekisho/$role

if [ -z "$root" ]; then
    [ "$(id -u)" -eq 0 ] || fail "this needs root; run: sudo $0 ..."
    if command -v dpkg-query >/dev/null 2>&1 &&
        [ "$(dpkg-query -W -f='${db:Status-Status}' sekisho 2>/dev/null || true)" = installed ]; then
        fail "the Debian package sekisho is installed here: use apt, and \`sekisho daemon start $role\`"
    fi
else
    start=''
fi
has_systemd=''
[ -n "$root" ] || [ ! -d /run/systemd/system ] || has_systemd=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- taking it away ----

others() { # whether another role is installed
    for other in control gateway agent; do
        [ "$other" = "$role" ] || [ ! -e "$units/sekisho-$other.service" ] || return 0
    done
    return 1
}

take_away() {
    if [ -n "$has_systemd" ] && [ -e "$units/$unit" ]; then
        systemctl disable --now --quiet "$unit"
    fi
    rm -f "$units/$unit" "$join_file"
    [ "$action" != purge ] || rm -rf "$units/$unit.d"
    if [ -n "$has_systemd" ]; then
        systemctl daemon-reload
        systemctl reset-failed "$unit" 2>/dev/null || true
    fi
    if ! others; then
        rm -f "$program" "$root/usr/local/share/man/man1/sekisho.1" \
            "$root/usr/local/share/bash-completion/completions/sekisho" "$root/usr/local/share/zsh/site-functions/_sekisho"
    fi
    if [ "$action" = purge ]; then
        rm -f "$config"
        rm -rf "$state"
        [ "$role" != gateway ] || rm -rf "$root/var/log/sekisho"
        rmdir "$root/etc/sekisho" "$root/var/lib/sekisho" 2>/dev/null || true
        if [ -z "$root" ] && getent passwd "$user" >/dev/null; then
            userdel "$user"
        fi
        say "$role is gone, with its configuration, its state and its user."
    else
        say "$role is gone. Kept: $config, $state and the user $user; --purge takes them, too."
    fi
}

if [ "$action" != install ]; then
    take_away
    exit 0
fi

# ---- the program ----

# Sets `from` to a folder with bin/sekisho and share/ in it: an unpacked archive, or what is made of a build.
find_program() {
    if [ -n "$archive" ]; then
        [ -f "$archive" ] || fail "there is no $archive"
        if [ -f "$archive.sha256" ]; then
            (cd "$(dirname "$archive")" && sha256sum --quiet -c "$(basename "$archive").sha256") ||
                fail "$archive is not what $archive.sha256 says; nothing was installed"
        else
            say "note: there is no $archive.sha256 to check it by"
        fi
        tar -xzf "$archive" -C "$work" --no-same-owner || fail "$archive is no release archive"
        for from in "$work"/*; do
            [ ! -x "$from/bin/sekisho" ] || break
        done
        [ -x "$from/bin/sekisho" ] || fail "$archive has no bin/sekisho in it"
        here=$from
    elif [ -z "$build" ] && [ -x "$here/bin/sekisho" ]; then
        from=$here
    elif [ -f "$here/meson.build" ]; then
        if [ -z "$build" ]; then
            say "Building (a few minutes) ..."
            make -C "$here" --no-print-directory build >"$work/build.log" 2>&1 || {
                tail -n 30 "$work/build.log" >&2
                fail "the build failed; nothing was installed"
            }
            build=$here/build
        fi
        from=$work/stage
        "$here/tools/package" stage "$build" "$from"
    else
        fail "$here is neither a checkout nor a release archive"
    fi
    if ! "$from/bin/sekisho" --version >"$work/version" 2>"$work/said"; then
        missing=$(ldd "$from/bin/sekisho" 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | tr '\n' ' ')
        [ -z "$missing" ] || fail "this machine lacks: $missing; run: apt-get install --no-install-recommends $(cat "$here/share/sekisho/needs")"
        cat "$work/said" >&2
        fail "the program does not run here; nothing was installed"
    fi
}

changed='' # what is different from before: "program", "unit"

# place FROM TO MODE WHAT - whole or not at all; a program that runs keeps the file it has.
place() {
    if [ -f "$2" ] && cmp -s "$1" "$2"; then
        return
    fi
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
    changed="$changed $4"
}

place_program() {
    place "$from/bin/sekisho" "$program" 755 program
    place "$from/share/man/man1/sekisho.1" "$root/usr/local/share/man/man1/sekisho.1" 644 page
    place "$from/share/bash-completion/completions/sekisho" "$root/usr/local/share/bash-completion/completions/sekisho" 644 page
    place "$from/share/zsh/site-functions/_sekisho" "$root/usr/local/share/zsh/site-functions/_sekisho" 644 page
}

# ---- user and folders ----

is_joined() { [ -e "$state/$role/node.json" ]; }
is_waiting() { [ -e "$state/$role/join.json" ]; }

make_user() {
    [ -z "$root" ] || return 0
    getent group "$user" >/dev/null || groupadd --system "$user"
    getent passwd "$user" >/dev/null ||
        useradd --system --gid "$user" --home-dir "/var/lib/sekisho/$role" --no-create-home --shell /usr/sbin/nologin \
            --comment "Sekisho $role" "$user"
}

own() { # PATH OWNER MODE
    [ -n "$root" ] || chown "$2" "$1"
    chmod "$3" "$1"
}

make_folders() {
    mkdir -p "$root/etc/sekisho" "$root/var/lib/sekisho" "$state"
    own "$root/var/lib/sekisho" root:root 755
    own "$state" "$user:$user" 700
}

# ---- where to listen ----

tailnet_ip=''

# The interface's own address; tailscaled without an interface (userspace networking) has none to bind to.
find_tailnet() {
    [ -n "$tailnet" ] && [ -z "$root" ] || return 0
    if command -v ip >/dev/null 2>&1; then
        tailnet_ip=$(ip -4 -o address show dev tailscale0 2>/dev/null | sed -n 's|.* inet \([0-9.]*\)/.*|\1|p' | head -n 1)
    elif command -v tailscale >/dev/null 2>&1; then
        tailnet_ip=$(tailscale ip -4 2>/dev/null | head -n 1 || true)
    fi
    if [ -z "$tailnet_ip" ] && [ -S /var/run/tailscale/tailscaled.sock ]; then
        say "note: tailscaled runs here without an interface tailscale0: there is no tailnet address to bind to"
    fi
}

# The name the tailnet knows this machine by, as tailscaled's LocalAPI says it; else the address.
tailnet_host() {
    far=$("$program" setup --print --json --probe none --config "$work/none.json" 2>/dev/null |
        sed -n 's|^ *"tailnetServer": "[a-z]*://\(.*\):[0-9]*".*|\1|p')
    printf '%s' "${far:-$tailnet_ip}"
}

# address_for PORT - where to listen, by --listen, --bind, or the tailnet.
address_for() {
    case $bind in
    '') printf '%s:%s' "$tailnet_ip" "$1" ;;
    any) printf ':%s' "$1" ;;
    tailnet) printf '%s:%s' "$tailnet_ip" "$1" ;;
    *:*:*) printf '[%s]:%s' "${bind#\[}" "$1" | sed 's/]]/]/' ;;
    *) printf '%s:%s' "$bind" "$1" ;;
    esac
}

# ---- the configuration ----

config_control() {
    at=${listen:-$(address_for 8000)}
    public=''
    if [ -z "$listen" ] && [ -n "$tailnet_ip" ] && [ "$at" = "$tailnet_ip:8000" ]; then
        public=$(printf ',\n    "publicUrl": "https://%s:8000"' "$(tailnet_host)")
    fi
    cat <<END
// All keys: /usr/local/bin/sekisho config schema --markdown
{
  "control": {
    "listen": "$at"$public
  }
}
END
}

config_agent() {
    cat <<'END'
// An agent of a control: what it serves comes from there. Where it may dial at all can be bounded here, as
//   "allow": ["localhost:8080", "10.0.0.0/8"]
// All keys: sekisho config schema --markdown
{
  "agent": {}
}
END
}

# Of a gateway that has no file the unit says where it listens; of who joins, its name. What an installation before said stays.
unit_arguments() {
    old=$(sed -n 's/^ExecStart=.*\.join//p' "$units/$unit" 2>/dev/null || true)
    said=$(printf '%s' "$old" | sed -n 's/.* --name \([^ ]*\).*/\1/p')
    at=$(printf '%s' "$old" | sed -n 's/.* --listen \([^ ]*\).*/\1/p')
    if [ "$role" = gateway ] && [ ! -e "$config" ] && [ -n "$listen$bind$tailnet_ip" ] && [ -z "$at" ]; then
        at=${listen:-$(address_for 443)}
        [ "$at" != :443 ] || at=''
    elif [ -n "$at" ] && [ -n "$listen" ]; then
        at=$listen
    fi
    said=${name:-$said}
    printf '%s' "${said:+ --name $said}${at:+ --listen $at}"
}

place_unit() {
    sed -e 's|/usr/bin/sekisho|/usr/local/bin/sekisho|' -e "s|^\(ExecStart=.*\.join\)\$|\1$(unit_arguments)|" \
        "$here/deploy/systemd/$unit" >"$work/$unit"
    place "$work/$unit" "$units/$unit" 644 unit
}

make_config() {
    if [ -e "$config" ]; then
        [ -z "$listen$bind" ] || say "note: $config is there and stays as it is; --listen and --bind were not looked at"
        [ -n "$root" ] || chgrp "$user" "$config"
        return
    fi
    find_tailnet
    [ "$bind" != tailnet ] || [ -n "$tailnet_ip" ] || fail "--bind tailnet: this machine has no interface tailscale0 with an address"
    [ -z "$tailnet_ip" ] || [ "$role" = agent ] || [ -n "$listen$bind" ] ||
        say "This machine is on a tailnet: $role listens on $tailnet_ip only (--bind any: everywhere)."
    if [ "$role" = gateway ]; then
        [ -z "$join" ] && ! is_joined && ! is_waiting || return 0 # what it serves comes from control
        at=$listen
        [ -n "$at" ] || [ -z "$bind" ] || at=$(address_for 3000)
        "$program" setup --config "$config" ${at:+--listen "$at"} || fail "sekisho setup could not write $config"
    else
        "config_$role" >"$work/config"
        cp "$work/config" "$config"
    fi
    own "$config" "root:$user" 640
}

make_join() {
    [ -n "$join" ] || return 0
    (umask 077 && printf '%s\n' "$join" >"$join_file.new")
    own "$join_file.new" "root:$user" 640
    mv -f "$join_file.new" "$join_file"
}

# ---- starting it ----

# Whether a running gateway can be replaced without losing a connection: only the program is new.
can_succeed() {
    case "$changed " in
    *' unit '*) return 1 ;;
    *' program '*) [ "$role" = gateway ] && [ -z "$join" ] && systemctl is-active --quiet "$unit" ;;
    *) return 1 ;;
    esac
}

succeed() {
    before=$(systemctl show -p MainPID --value "$unit")
    systemctl kill --signal=USR2 --kill-whom=main "$unit"
    for _ in $(seq 600); do
        [ "$(systemctl show -p MainPID --value "$unit")" = "$before" ] || return 0
        sleep 0.1
    done
    return 1
}

show_log() { journalctl --no-pager -q -n 20 -o cat -u "$unit" >&2 || true; }

start_unit() {
    systemctl daemon-reload
    systemctl enable --quiet "$unit"
    if can_succeed && succeed; then
        say "The new program took over from the old one; no connection was lost."
    elif [ -n "$join" ] || is_waiting; then
        systemctl restart --no-block "$unit" # a gateway is ready when control has said what to serve; look waits for it
    elif [ -n "$changed" ] || ! systemctl is-active --quiet "$unit"; then
        systemctl restart "$unit" || {
            show_log
            fail "$unit did not start (its log is above); the files stay: mend it and run this again"
        }
    fi
}

# Type=notify: systemd has heard that it serves. That it goes on doing so is looked at here.
look() {
    if [ -n "$join" ]; then
        for _ in $(seq 600); do
            if is_joined || is_waiting; then break; fi
            [ "$(systemctl show -p NRestarts --value "$unit")" -eq 0 ] || break
            sleep 0.1
        done
        if is_joined; then
            rm -f "$join_file"
            say "It has joined ${join#*@}."
        elif is_waiting; then
            rm -f "$join_file"
            say "It waits for approval at ${join#*@}: see \`sekisho node list\` there. It goes on by itself then."
            return
        else
            show_log
            fail "it could not join ${join#*@} (the log is above); with a new token run this again, or let it go on trying"
        fi
    fi
    for _ in $(seq 600); do
        [ "$(systemctl show -p ActiveState --value "$unit")" = activating ] || break
        sleep 0.1
    done
    restarts=$(systemctl show -p NRestarts --value "$unit")
    sleep 1
    if ! systemctl is-active --quiet "$unit" || [ "$(systemctl show -p NRestarts --value "$unit")" != "$restarts" ]; then
        show_log
        fail "$unit does not stay up (its log is above)"
    fi
    if [ "$role" = gateway ]; then
        set -- --config "$config"
        [ -e "$config" ] || set -- --admin 127.0.0.1:9400
        "$program" status "$@" >"$work/status" 2>&1 || say "note: its admin listener does not answer: $(cat "$work/status")"
    fi
    say "$unit is up."
}

# Of a control that is new here; one that has an owner prints none, and what it once printed is used up.
owner_link() {
    [ -n "$is_new" ] || return 0
    for _ in $(seq 50); do
        link=$(journalctl --no-pager -q -o cat -u "$unit" 2>/dev/null | sed -n "s/.*\\(https:[^ ']*\\/setup#[^ ']*\\).*/\\1/p" | tail -n 1)
        [ -z "$link" ] || break
        sleep 0.1
    done
    printf '%s' "$link"
}

next() {
    say ""
    if [ -z "$start" ] || [ -z "$has_systemd" ]; then
        if [ -n "$root" ]; then
            say "The files are below $root; nothing was started."
        elif [ -z "$has_systemd" ]; then
            say "This machine is not run by systemd. To run it by hand, as the user $user:"
            say "  $(sed -n 's/^ExecStart=//p' "$units/$unit")"
        else
            say "Not started. To start it, now and at each boot:  sekisho daemon start $role"
        fi
    fi
    if [ -e "$config" ]; then
        say "configuration  $config"
    else
        say "configuration  control's; a file of its own would be $config"
    fi
    say "state          $state   (back it up; an upgrade and --uninstall keep it)"
    say "log            sekisho daemon logs $role"
    say "next:"
    case $role in
    control)
        link=''
        [ -z "$start" ] || [ -z "$has_systemd" ] || link=$(owner_link)
        [ -z "$link" ] || say "  sekisho login '$link'       # once: you are the owner"
        say "  sekisho node invite gateway          # prints what to type on the machine that is to be one"
        say "  sekisho node invite agent" ;;
    gateway)
        if [ -n "$join" ] || is_joined; then
            say "  sekisho service add NAME --host HOST --to agent/AGENT:localhost:8080   # where you logged in to control"
        else
            say "  sekisho connect HOST                 # from another machine: tries the way in"
        fi
        if [ -e "$config" ]; then
            say "  sekisho status --config $config"
        else
            say "  sekisho status --admin 127.0.0.1:9400"
        fi ;;
    agent)
        if [ -n "$join" ] || is_joined; then
            say "  sekisho service add NAME --host HOST --to agent/${name:-$(uname -n)}:localhost:8080   # where you logged in"
        else
            say "  it has joined no control yet: run this again with --join"
        fi ;;
    esac
}

is_new=1
[ ! -e "$state/control.db" ] || is_new=''
find_program
make_user
make_folders
place_program
make_config
make_join
place_unit
say "$(cat "$work/version") is installed as $program."
if [ -n "$start" ] && [ -n "$has_systemd" ]; then
    if [ "$role" = agent ] && [ -z "$join" ] && ! is_joined && ! is_waiting && ! grep -q '"gateways"' "$config"; then
        say "An agent without a control and without gateways has nothing to do: it was not started."
        start=''
    else
        start_unit
        look
    fi
elif [ -n "$has_systemd" ] && [ -z "$root" ]; then
    systemctl daemon-reload
fi
next

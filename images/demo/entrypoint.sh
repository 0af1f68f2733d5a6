#!/bin/sh
# Fills in nginx.conf.template and starts nginx in the foreground, as the image's entry point or
# straight from a clone. SIGQUIT ends it after the running streams, SIGTERM at once.
#
# Environment:
#   ADAPTER_URL  the adapter, as http://NAME:PORT (http://openaisle-adapter:8000)
#   PORT         the port to listen on (8080)
#   PATH_PREFIX  a path below which everything is served too, such as /openaisle (none)
#   HOST         the address to listen on (all, IPv6 too where the machine has it)
#   RESOLVER     name servers for ADAPTER_URL's host (those of /etc/resolv.conf)
#   PAGE_DIR     the folder with the page (static/ beside this script)
#   TEMPLATE     the template (nginx.conf.template beside this script)
#   TMP_DIR      an existing or new folder that nginx may write to (/tmp/openaisle-demo)
#   ACCESS_LOG   where requests are logged, or "off" (/dev/stdout)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
adapter_url=${ADAPTER_URL:-http://openaisle-adapter:8000}
port=${PORT:-8080}
path_prefix=${PATH_PREFIX:-}
host=${HOST:-}
page_dir=${PAGE_DIR:-$here/static}
template=${TEMPLATE:-$here/nginx.conf.template}
tmp_dir=${TMP_DIR:-/tmp/openaisle-demo}
access_log=${ACCESS_LOG:-/dev/stdout}
# Debian keeps nginx where a normal user's PATH may not look.
PATH=$PATH:/usr/sbin:/usr/local/sbin

fail() {
    echo "entrypoint.sh: $1" >&2
    exit 1
}

case $port in
    '' | *[!0-9]*) fail "PORT is \"$port\": give a number such as 8080." ;;
esac
printf '%s' "$adapter_url" | grep -Eq '^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?/?$' ||
    fail "ADAPTER_URL is \"$adapter_url\": give a scheme, a host and a port, such as http://openaisle-adapter:8000."
! printf '%s\n' "$path_prefix" | grep -Evq '^(/[A-Za-z0-9._~-]+)*$' ||
    fail "PATH_PREFIX is \"$path_prefix\": give a path such as /openaisle, without a slash at its end."
[ -f "$page_dir/index.html" ] || fail "PAGE_DIR is \"$page_dir\", which holds no index.html."
[ -f "$template" ] || fail "TEMPLATE is \"$template\", which is no file."
command -v nginx >/dev/null || fail "nginx is not installed: install it, such as with 'apt-get install nginx-light'."
page_dir=$(cd "$page_dir" && pwd)
{ mkdir -p "$tmp_dir" && ln -sfn "$page_dir" "$tmp_dir/page"; } ||
    fail "TMP_DIR is \"$tmp_dir\", which cannot be written to."

# nginx asks name servers only: it reads neither /etc/hosts nor the search domains of
# /etc/resolv.conf, so both are applied here.
adapter_url=${adapter_url%/}
scheme=${adapter_url%%://*}
authority=${adapter_url#*://}
name=${authority%:*}
case $authority in
    \[*) ;;
    *)
        address=$(awk -v name="$name" '$1 !~ /^#/ { for (i = 2; i <= NF; i++) if ($i == name) { print $1; exit } }' /etc/hosts)
        search=$(sed -n 's/^search[[:space:]]*//p' /etc/resolv.conf 2>/dev/null | tr -s '[:space:]' '\n' | grep -m 1 '\.svc\.' || true)
        case $address in
            '') ;;
            *:*) authority="[$address]${authority#"$name"}" ;;
            *) authority=$address${authority#"$name"} ;;
        esac
        if [ -z "$address" ] && [ -n "$search" ] && [ "${name#*.}" = "$name" ]; then
            authority=$name.$search${authority#"$name"}
        fi
        ;;
esac
adapter_url=$scheme://$authority

[ "$access_log" = off ] || access_log="$access_log line"

resolver=${RESOLVER:-$(awk '$1 == "nameserver" { print ($2 ~ /:/) ? "[" $2 "]" : $2 }' /etc/resolv.conf 2>/dev/null | tr '\n' ' ')}
[ -n "$resolver" ] || resolver=127.0.0.1

if [ -n "$host" ]; then
    listen=$host:$port
elif [ -s /proc/net/if_inet6 ]; then
    listen="[::]:$port ipv6only=off"
else
    listen=$port
fi

# An Ingress in front passes the whole path on.
prefix_locations='' prefix_map=''
if [ -n "$path_prefix" ]; then
    pattern=$(printf '%s' "$path_prefix" | sed 's/\./\\./g')
    prefix_locations="location = $path_prefix { return 308 $path_prefix/\$is_args\$args; }
        location ^~ $path_prefix/ { rewrite ^$pattern(/.*)\$ \$1 last; }"
    prefix_map="\"~^$pattern(?<below>/.*)\$\" \$below;"
fi

# Started as root, as on a developer's machine in a container, the workers stay root too: the
# clone may lie where nobody else can read it. The image runs as a normal user.
user=
[ "$(id -u)" != 0 ] || user='user root;'

# Text as sed puts it in place of a name.
quote() { printf '%s' "$1" | sed -e 's/[\\&|]/\\&/g' -e '$!s/$/\\/'; }

sed -e "s|@ADAPTER_URL@|$(quote "$adapter_url")|g" \
    -e "s|@LISTEN@|$(quote "$listen")|g" \
    -e "s|@RESOLVER@|$(quote "$resolver")|g" \
    -e "s|@ACCESS_LOG@|$(quote "$access_log")|g" \
    -e "s|@USER@|$user|g" \
    -e "s|@PREFIX_LOCATIONS@|$(quote "$prefix_locations")|g" \
    -e "s|@PREFIX_MAP@|$(quote "$prefix_map")|g" \
    "$template" >"$tmp_dir/nginx.conf"

cd "$tmp_dir"
exec nginx -e stderr -p . -c nginx.conf

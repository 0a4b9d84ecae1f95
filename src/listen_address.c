#include "listen_address.h"

#include <errno.h>
#include <string.h>

static int bad(const char *text, const char *what, struct strbuf *why)
{
    strbuf_adds(why, "found ");
    strbuf_add_quoted(why, text);
    strbuf_addf(why,
                ": %s; allowed: \"HOST:PORT\", \"[IPV6]:PORT\", \"PORT\" (0 to 65535), "
                "\"unix:PATH\", \"systemd:NAME\" or \"systemd\"",
                what);
    return -EINVAL;
}

static int parse_unix(const char *text, struct listen_address *out, struct strbuf *why)
{
    const char *path = text + strlen("unix:");

    if (*path != '/')
        return bad(text, "the path of a unix socket must be absolute", why);
    if (strlen(path) >= sizeof out->path)
        return bad(text, "the path of a unix socket has at most 107 bytes", why);
    out->kind = LISTEN_UNIX;
    memcpy(out->path, path, strlen(path) + 1);
    return 0;
}

static int parse_systemd(const char *text, struct listen_address *out, struct strbuf *why)
{
    const char *name = text + strlen("systemd");

    if (*name == ':' && !*++name)
        return bad(text, "there is no name after the colon", why);
    if (strchr(name, ':'))
        return bad(text, "the name of a socket has no colon", why);
    if (strlen(name) >= sizeof out->name)
        return bad(text, "the name of a socket has at most 255 bytes", why);
    out->kind = LISTEN_SYSTEMD;
    memcpy(out->name, name, strlen(name) + 1);
    return 0;
}

int listen_address_parse(const char *text, struct listen_address *out, struct strbuf *why)
{
    const char *colon = strrchr(text, ':');
    const char *host = text, *port = colon ? colon + 1 : text;
    size_t host_len = colon ? (size_t)(colon - text) : 0;
    int64_t number;

    *out = (struct listen_address){.kind = LISTEN_TCP};
    if (!strncmp(text, "unix:", 5))
        return parse_unix(text, out, why);
    if (!strcmp(text, "systemd") || !strncmp(text, "systemd:", 8))
        return parse_systemd(text, out, why);
    if (parse_i64(port, &number) || *port == '-' || number > 65535)
        return bad(text, "the port is no number from 0 to 65535", why);
    if (colon && !host_len)
        return bad(text, "there is no host before the colon", why);
    if (host_len && host[0] == '[') {
        if (host[host_len - 1] != ']' || host_len < 3)
            return bad(text, "the brackets do not hold an IPv6 address", why);
        host++;
        host_len -= 2;
    } else if (host_len && memchr(host, ':', host_len)) {
        return bad(text, "an IPv6 address needs brackets", why);
    }
    if (host_len >= sizeof out->host)
        return bad(text, "the host is too long", why);
    memcpy(out->host, host, host_len);
    out->host[host_len] = '\0';
    out->port = (uint16_t)number;
    return 0;
}

bool listen_address_is_any_port(const char *text)
{
    struct listen_address parsed;
    struct strbuf why = {0};
    bool any = listen_address_parse(text, &parsed, &why) == 0 && parsed.kind == LISTEN_TCP &&
               parsed.port == 0;

    strbuf_free(&why);
    return any;
}

/* listen_address.h - the addresses that a listener can have, as text. */
#ifndef HANDOFFD_LISTEN_ADDRESS_H
#define HANDOFFD_LISTEN_ADDRESS_H

#include "parse_num.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

enum listen_kind { LISTEN_TCP, LISTEN_UNIX, LISTEN_SYSTEMD };

struct listen_address {
    enum listen_kind kind;
    char host[256]; /* without brackets; empty: every address of this host */
    uint16_t port;
    char path[108]; /* sun_path, unix(7) */
    char name[256]; /* FileDescriptorName= of systemd.socket(5); empty: the only socket there is */
};

/* "HOST:PORT", "[IPV6]:PORT", "PORT", "unix:PATH", "systemd:NAME" or "systemd".  Looks nothing up.
 * 0, or -EINVAL with the reason in `why`. */
int listen_address_parse(const char *text, struct listen_address *out,
                         struct strbuf *why) WARN_UNUSED;

/* Whether the kernel chooses the port, so that two listeners may have the same text. */
bool listen_address_is_any_port(const char *text);

#endif

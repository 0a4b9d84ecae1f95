/* probes.h - places where a tracer can look into the running program: USDT probes of the provider
 * `handoffd`, described in handoffd-metrics(7).
 *
 * Built in when <sys/sdt.h> is there (Debian: systemtap-sdt-dev) and NO_PROBES is not defined.  A probe
 * that nobody traces is one instruction that does nothing; without the header it is nothing at all. */
#ifndef HANDOFFD_PROBES_H
#define HANDOFFD_PROBES_H

#if !defined(NO_PROBES) && defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define HAVE_PROBES 1
#endif
#endif

#ifdef HAVE_PROBES
#define PROBES_BUILT_IN "yes"
#define PROBE2(name, a, b) DTRACE_PROBE2(handoffd, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(handoffd, name, a, b, c)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(handoffd, name, a, b, c, d)
#else
#define PROBES_BUILT_IN "no"
/* Looked at by the compiler, so that a probe cannot break unnoticed. */
#define PROBE2(name, a, b) ((void)sizeof(a), (void)sizeof(b))
#define PROBE3(name, a, b, c) (PROBE2(name, a, b), (void)sizeof(c))
#define PROBE4(name, a, b, c, d) (PROBE3(name, a, b, c), (void)sizeof(d))
#endif

#endif

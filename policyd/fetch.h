/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_FETCH_H
#define FIFE_POLICYD_FETCH_H

/*
 * GET https://mta-sts.DOMAIN/.well-known/mta-sts.txt, or POST of a report: addresses
 * from dnsd, one after another, TLS verified for that name, one document.
 */

#include <stddef.h>
#include <stdint.h>

#define FETCHES_MAX 64

struct fetch;

/* text: NULL when it failed, why says how; both die on return. untrusted: it failed for
 * the certificate's sake. */
typedef void (*fetch_cb)(
    const char *text, size_t len, const char *why, int untrusted, void *arg);

/* As root, before the sandbox. 0 or -1 (logged). */
int fetch_open(const char *ca_file);
void fetch_settings(uint16_t port, uint32_t timeout_s);
/* NULL: too many, or no memory; cb is not called then, and never from inside. */
struct fetch *fetch_start(const char *domain, fetch_cb, void *arg);
/* Of the type application/tlsrpt+gzip; body is copied. text is "" when it was taken. */
struct fetch *fetch_post(const char *host, const char *path, const void *body, size_t len,
    fetch_cb, void *arg);
unsigned int fetch_running(void);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TLS_STATUS_H
#define FIFE_TLS_STATUS_H

struct ctl;
struct tls_certs;

/*
 * The last facts of the row of `status` of a daemon that has certificates (certs may be
 * NULL): when the first of them expires, and what is degraded. degraded: what is worse
 * than an old certificate, said in its place; NULL: nothing is.
 */
void tls_certs_status(struct ctl *, const struct tls_certs *, const char *degraded);

#endif

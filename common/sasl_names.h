/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SASL_NAMES_H
#define FIFE_SASL_NAMES_H

/*
 * The SASL mechanisms that the fronts offer, the best first; they run in authd. Those
 * with -PLUS bind the login to the TLS connection and are offered under TLS only;
 * EXTERNAL where the client has shown a certificate.
 */

#include <stdbool.h>
#include <stddef.h>

#define SASL_NAMES_MAX 192 /* room for sasl_names_list() */

/* The name as authd knows it, or NULL: not offered (on such a connection). Any case. */
const char *sasl_name_find(const char *name, size_t len, bool tls, bool certificate);
/* All that are offered, each behind before and with after behind it. */
void sasl_names_list(bool tls, bool certificate, const char *before, const char *after,
    char *buf, size_t cap);
/* Does the server speak first? Else the client does, to an empty challenge. */
bool sasl_name_server_first(const char *name);

#endif

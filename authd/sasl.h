/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SASL_H
#define FIFE_SASL_H

/*
 * The server's side of SASL mechanisms, without I/O: PLAIN (RFC 4616) and LOGIN.
 * The exchange asks for data until it has credentials, which the caller checks.
 */

#include <stddef.h>
#include <stdint.h>

enum sasl_mech { SASL_MECH_NONE, SASL_MECH_PLAIN, SASL_MECH_LOGIN };

#define SASL_LOGIN_MAX 320
#define SASL_PASSWORD_MAX 512

struct sasl {
	enum sasl_mech mech;
	int step;
	char login[SASL_LOGIN_MAX + 1]; /* the identity that the password proves */
	char password[SASL_PASSWORD_MAX + 1];
};

enum sasl_action {
	SASL_ASK,   /* send challenge, come back with the answer */
	SASL_CHECK, /* login and password are there: check them */
	SASL_FAIL   /* malformed; *why says what */
};

/* Case-insensitive; SASL_MECH_NONE when it is not known. */
enum sasl_mech sasl_mechanism(const char *name);
void sasl_init(struct sasl *, enum sasl_mech);
/* Wipes. */
void sasl_clear(struct sasl *);
/*
 * data: what the client sent, decoded; data NULL at the start without an initial
 * response. *challenge points to static text for SASL_ASK.
 */
enum sasl_action sasl_input(struct sasl *, const uint8_t *data, size_t len,
    const char **challenge, const char **why);

#endif

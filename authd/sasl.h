/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SASL_H
#define FIFE_SASL_H

/*
 * The server's side of SASL mechanisms, without I/O: PLAIN (RFC 4616), LOGIN, EXTERNAL
 * (RFC 4422, appendix A) and SCRAM (scram.h). The exchange asks for data until it has
 * credentials, which the caller checks, or, with SCRAM, until the proof is there.
 */

#include <stddef.h>
#include <stdint.h>

#include "authd/scram.h"

enum sasl_mech {
	SASL_MECH_NONE,
	SASL_MECH_PLAIN,
	SASL_MECH_LOGIN,
	SASL_MECH_SCRAM,
	SASL_MECH_EXTERNAL
};

#define SASL_LOGIN_MAX 320
#define SASL_PASSWORD_MAX 512

struct sasl {
	enum sasl_mech mech;
	int step;
	char login[SASL_LOGIN_MAX + 1]; /* the identity that the password proves */
	char password[SASL_PASSWORD_MAX + 1];
	struct scram scram;
};

/* What the connection is bound to, as the front says; type "" for nothing. */
struct sasl_binding {
	const char *type;
	const uint8_t *data;
	size_t len;
};

enum sasl_action {
	SASL_ASK,    /* send challenge, come back with the answer */
	SASL_CHECK,  /* login and password are there: check them */
	SASL_KEYS,   /* SCRAM: login is there, go on with sasl_keys() */
	SASL_PROVED, /* SCRAM: the client has the password of login */
	SASL_WRONG,  /* SCRAM: it has not */
	/* EXTERNAL: login is who it wants to be, or "": the client's certificate says */
	SASL_CERTIFICATE,
	SASL_FAIL /* malformed; *why says what */
};

/* Case-insensitive; SASL_MECH_NONE when it is not known. */
enum sasl_mech sasl_mechanism(const char *name);
/* name: the mechanism's, one that sasl_mechanism() knows. tls: -PLUS was offered. */
void sasl_init(struct sasl *, const char *name, int tls);
/* Wipes. */
void sasl_clear(struct sasl *);
/*
 * data: what the client sent, decoded; data NULL at the start without an initial
 * response. *challenge lives as long as s and until its next call, for SASL_ASK.
 */
enum sasl_action sasl_input(struct sasl *s, const uint8_t *data, size_t len,
    const struct sasl_binding *, const char **challenge, const char **why);
/* Behind SASL_KEYS; as sasl_input(). */
enum sasl_action sasl_keys(
    struct sasl *s, const struct scram_keys *, const char **challenge, const char **why);

#endif

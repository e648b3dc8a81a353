/* SPDX-License-Identifier: ISC */
/* SASL mechanisms; see sasl.h. */
#include "authd/sasl.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

static const struct {
	const char *name;
	enum scram_hash hash;
	int plus;
} scrams[] = {
	{ "SCRAM-SHA-256", SCRAM_SHA256, 0 },
	{ "SCRAM-SHA-256-PLUS", SCRAM_SHA256, 1 },
	{ "SCRAM-SHA-1", SCRAM_SHA1, 0 },
	{ "SCRAM-SHA-1-PLUS", SCRAM_SHA1, 1 },
};

enum sasl_mech
sasl_mechanism(const char *name)
{
	if (strcasecmp(name, "PLAIN") == 0)
		return SASL_MECH_PLAIN;
	if (strcasecmp(name, "LOGIN") == 0)
		return SASL_MECH_LOGIN;
	if (strcasecmp(name, "EXTERNAL") == 0)
		return SASL_MECH_EXTERNAL;
	for (size_t i = 0; i < sizeof(scrams) / sizeof(scrams[0]); i++)
		if (strcasecmp(name, scrams[i].name) == 0)
			return SASL_MECH_SCRAM;
	return SASL_MECH_NONE;
}

void
sasl_init(struct sasl *s, const char *name, int tls)
{
	memset(s, 0, sizeof(*s));
	s->mech = sasl_mechanism(name);
	for (size_t i = 0; i < sizeof(scrams) / sizeof(scrams[0]); i++)
		if (strcasecmp(name, scrams[i].name) == 0)
			scram_init(&s->scram, scrams[i].hash, scrams[i].plus, tls);
}

void
sasl_clear(struct sasl *s)
{
	explicit_bzero(s, sizeof(*s));
}

static int
take(const uint8_t *data, size_t len, char *out, size_t cap)
{
	if (len == 0 || len >= cap || memchr(data, '\0', len) != NULL ||
	    !utf8_valid((const char *)data, len))
		return -1;
	memcpy(out, data, len);
	out[len] = '\0';
	return 0;
}

/* RFC 4616, 2: [authzid] NUL authcid NUL passwd */
static enum sasl_action
plain(struct sasl *s, const uint8_t *data, size_t len, const char **why)
{
	const uint8_t *a, *b, *end = data + len;
	size_t authzid;

	*why = "malformed PLAIN response";
	if ((a = memchr(data, '\0', len)) == NULL)
		return SASL_FAIL;
	authzid = (size_t)(a - data);
	if ((b = memchr(a + 1, '\0', (size_t)(end - a - 1))) == NULL ||
	    take(a + 1, (size_t)(b - a - 1), s->login, sizeof(s->login)) == -1 ||
	    take(b + 1, (size_t)(end - b - 1), s->password, sizeof(s->password)) == -1)
		return SASL_FAIL;
	/* Nobody may act for another (yet). */
	if (authzid != 0 &&
	    (authzid != strlen(s->login) || memcmp(data, s->login, authzid) != 0)) {
		*why = "no right to act for another";
		return SASL_FAIL;
	}
	return SASL_CHECK;
}

static enum sasl_action
login(struct sasl *s, const uint8_t *data, size_t len, const char **challenge,
    const char **why)
{
	*why = "malformed LOGIN response";
	if (s->step == 1) {
		if (take(data, len, s->login, sizeof(s->login)) == -1)
			return SASL_FAIL;
		s->step = 2;
		*challenge = "Password:";
		return SASL_ASK;
	}
	return take(data, len, s->password, sizeof(s->password)) == 0 ? SASL_CHECK
								      : SASL_FAIL;
}

enum sasl_action
sasl_keys(struct sasl *s, const struct scram_keys *keys, const char **challenge,
    const char **why)
{
	unsigned char random[18];
	char nonce[BASE64_ENCODED_SIZE(sizeof(random))];

	*challenge = s->scram.out;
	*why = "malformed SCRAM message";
	arc4random_buf(random, sizeof(random));
	if (s->step != 2 ||
	    base64_encode(random, sizeof(random), nonce, sizeof(nonce)) == -1 ||
	    scram_challenge(&s->scram, keys, nonce) == -1)
		return SASL_FAIL;
	s->step = 3;
	return SASL_ASK;
}

/* Steps: 1 client-first, 2 keys, 3 client-final, 4 the empty answer to the server's
 * proof, since none of SMTP, IMAP and POP3 sends data along with success. */
static enum sasl_action
scram(struct sasl *s, const uint8_t *data, size_t len, const struct sasl_binding *b,
    const char **challenge, const char **why)
{
	*why = "malformed SCRAM message";
	switch (s->step) {
	case 1:
		if (scram_first(&s->scram, data, len, b->type, b->data, b->len, why) ==
		    -1)
			return SASL_FAIL;
		strlcpy(s->login, s->scram.name, sizeof(s->login));
		s->step = 2;
		return SASL_KEYS;
	case 3:
		switch (scram_final(&s->scram, data, len, why)) {
		case 1:
			s->step = 4;
			*challenge = s->scram.out;
			return SASL_ASK;
		case 0:
			return SASL_WRONG;
		default:
			return SASL_FAIL;
		}
	case 4:
		return len == 0 ? SASL_PROVED : SASL_FAIL;
	default:
		return SASL_FAIL;
	}
}

enum sasl_action
sasl_input(struct sasl *s, const uint8_t *data, size_t len, const struct sasl_binding *b,
    const char **challenge, const char **why)
{
	*challenge = "";
	*why = "unknown mechanism";
	if (s->mech == SASL_MECH_NONE)
		return SASL_FAIL;
	if (data == NULL) {
		if (s->step != 0)
			return SASL_FAIL;
		s->step = 1;
		if (s->mech == SASL_MECH_LOGIN)
			*challenge = "Username:";
		return SASL_ASK;
	}
	if (s->step == 0)
		s->step = 1;
	if (s->mech == SASL_MECH_EXTERNAL) {
		*why = "malformed EXTERNAL response";
		return len == 0 || take(data, len, s->login, sizeof(s->login)) == 0
			   ? SASL_CERTIFICATE
			   : SASL_FAIL;
	}
	if (s->mech == SASL_MECH_SCRAM)
		return scram(s, data, len, b, challenge, why);
	return s->mech == SASL_MECH_PLAIN ? plain(s, data, len, why)
					  : login(s, data, len, challenge, why);
}

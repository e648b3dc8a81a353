/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGIN_H
#define FIFE_LOGIN_H

/*
 * What the login machines of the fronts share: their states, what they know of the
 * connection, and the SASL exchange. A protocol's machine has struct login as its first
 * member; the front (front.h) holds it by that.
 *
 *	READY --authenticate, password--> ASKING --denied--> READY
 *	READY --authenticate--> RESPONSE --line--> ASKING --challenge--> RESPONSE
 *	RESPONSE --cancelled, broken--> READY
 *	READY --STARTTLS--> TLS --> READY
 *	ASKING --ok--> OPENING --> (the relay), or READY
 *	any --end--> ENDED
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/front/sasl_exchange.h"

struct evbuffer;

/* What a login machine must know of its connection. */
struct login_facts {
	const char *hostname;
	bool tls;
	bool starttls;    /* may be offered: there is a certificate and no TLS yet */
	bool plain_auth;  /* passwords are accepted without TLS */
	bool certificate; /* the client has shown one: EXTERNAL may be offered */
	bool utf8_strict; /* POP3: nothing in UTF-8 that was not asked for */
	uint32_t login_delay_s; /* between logins of a user, as CAPA of POP3 tells */
	uint32_t message_limit; /* of IMAP (RFC 9738), as save_limit; 0: none */
	uint32_t save_limit;
	bool quotaset; /* of IMAP (RFC 9208); once the user is known */
};

enum login_action {
	LOGIN_NONE,     /* needs more input, or waits for an answer */
	LOGIN_STARTTLS, /* what was written goes out, then TLS begins */
	LOGIN_SASL,     /* ask authd: struct login_sasl; login_result() answers */
	LOGIN_ABORT,    /* the exchange with authd is given up */
	LOGIN_CLOSE,    /* after what was written */
};

#define LOGIN_HELLO_MAX 400 /* octets that precede the relay */

struct login_sasl {
	const char *mechanism;
	const uint8_t *data; /* the machine's, until it is given the result */
	size_t len;
	uint8_t first; /* as in struct msg_sasl: 2 is an empty initial response */
};

enum login_status {
	LOGIN_OK, /* the user is known; now the mailbox is opened, login_opened() follows
		   */
	LOGIN_CONTINUE, /* data is the next challenge */
	LOGIN_DENIED,
	LOGIN_TEMP,
	LOGIN_TOO_SOON, /* after the user's last one; POP3 only */
};

enum login_state {
	LOGIN_READY,
	LOGIN_RESPONSE, /* a line of the exchange is expected */
	LOGIN_ASKING,
	LOGIN_TLS,
	LOGIN_OPENING,
	LOGIN_ENDED
};

struct login {
	enum login_state state;
	struct login_facts facts;
	struct evbuffer *out;
	unsigned int bad; /* commands that were none */
	enum login_action action;
	struct sasl_exchange sasl;
};

/* -1: no memory, nothing is to be cleared. */
int login_init(struct login *, const struct login_facts *);
void login_clear(struct login *);
/* May input be taken? */
bool login_wants_input(const struct login *);
/* Takes the pending action. */
enum login_action login_action(struct login *, struct login_sasl *);
/* Close after what was written. */
void login_end(struct login *);
void login_starttls(struct login *);
/* TLS stands: what was known of the connection counts no more. */
void login_tls_begun(struct login *);

/*
 * Steps of a login. After SASL_STEP_ASK the machine waits; after SASL_STEP_CHALLENGE
 * the protocol writes an empty challenge; after others it writes why not.
 */
enum sasl_step login_authenticate(struct login *, const char *mechanism,
    size_t mechanism_len, const char *initial, size_t initial_len);
enum sasl_step login_password(struct login *, const char *user, size_t user_len,
    const char *password, size_t password_len);
enum sasl_step login_response(struct login *, const char *line, size_t len);
/* The line of a response was none. */
void login_give_up(struct login *);
/*
 * authd's word is there. For LOGIN_CONTINUE *challenge is the base64 of it, free()d by
 * the caller, or NULL when there is no memory and the exchange has been given up.
 */
void login_answered(
    struct login *, enum login_status, const uint8_t *data, size_t len, char **challenge);

#endif

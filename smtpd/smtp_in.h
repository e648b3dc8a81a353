/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_IN_H
#define FIFE_SMTP_IN_H

/*
 * The server's side of SMTP (RFC 5321), submission (6409) and LMTP (2033) as a
 * machine without I/O: octets and answers in, actions out.
 *
 *	while smtp_in_next(): perform the action
 *	unless smtp_in_waiting(): used = smtp_in_input(); smtp_in_next()...; drain used
 *
 * What comes out does not depend on how the input was cut.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"
#include "common/proto/address.h"
#include "smtpd/smtp_data.h"
#include "smtpd/smtp_reply.h"
#include "smtpd/xattr.h"

/* The same for all sessions; borrowed, may change between calls. */
struct smtp_in_conf {
	char hostname[256];
	char banner[256];           /* behind the host's name; may be empty */
	char default_domain[256];   /* for addresses without one, LISTENER_LOCAL */
	char root[ADDRESS_MAX + 1]; /* who gets root's mail, LISTENER_LOCAL */
	uint64_t size_max;
	uint32_t rcpts_max;
	uint32_t errors_max;
	uint32_t hops_max;
	uint32_t release_max_s; /* FUTURERELEASE; 0: not offered */
	uint32_t by_min_s;      /* DELIVERBY */
	/* MT-PRIORITY: its policy's name, "" for none; the highest that a login may ask
	 * for. */
	const char *priority_policy; /* NULL: not offered */
	int8_t priority_login_max;
	int64_t (*now)(void); /* wall seconds; NULL: wall_s() */
};

/* Of one connection. */
struct smtp_in_facts {
	enum listener_kind kind;
	uint8_t tls;      /* is on */
	uint8_t starttls; /* may be offered */
	uint8_t auth_without_tls;
	uint8_t certificate;  /* the client has shown one */
	uint8_t etrn;         /* it may ask for what waits for a domain */
	uint8_t xclient;      /* it may speak for others */
	uint8_t priority;     /* it may ask for any priority */
	uint8_t check_sender; /* ask about the sender's domain, unless logged in */
};

/* What is known of a sender's domain. */
enum smtp_sender {
	SMTP_SENDER_OK,
	SMTP_SENDER_UNKNOWN, /* no such domain, or nothing that takes mail */
	SMTP_SENDER_NULL_MX, /* it says that it takes none: RFC 7505 */
	SMTP_SENDER_TEMP
};

struct smtp_in;

enum smtp_action_type {
	SMTP_ACT_REPLY = 1, /* data: octets for the client */
	SMTP_ACT_STARTTLS,  /* throw unread input away, handshake, smtp_in_tls_ready() */
	SMTP_ACT_ETRN,      /* name: domain; smtp_in_etrn_answer() */
	SMTP_ACT_XCLIENT,   /* xattr: who the client is; smtp_in_xclient_answer() */
	SMTP_ACT_SENDER,    /* smtp_in_sender() is asked about; smtp_in_sender_answer() */
	SMTP_ACT_RCPT,      /* name: recipient; smtp_in_rcpt_answer() */
	SMTP_ACT_SASL,      /* name: mechanism, first, data; smtp_in_sasl_answer() */
	SMTP_ACT_SASL_ABORT,
	SMTP_ACT_OPEN,    /* a transaction at the queue; smtp_in_open_answer() */
	SMTP_ACT_URL,     /* name: of a message's part; smtp_in_url_answer() */
	SMTP_ACT_CONTENT, /* data: append; smtp_in_content_failed() if that fails */
	SMTP_ACT_COMMIT,  /* content is complete; smtp_in_commit_answer() */
	SMTP_ACT_ABORT,   /* forget the transaction that was opened */
	SMTP_ACT_REFUSED, /* for the log: name (recipient or empty), code, enhanced, text
			   */
	SMTP_ACT_CLOSE    /* the last one */
};

struct smtp_action {
	enum smtp_action_type type;
	const char *data; /* valid until the next call of anything but the getters */
	size_t len;
	const char *name;
	const char *text;
	const char *enhanced; /* static */
	int code;
	int first; /* as struct msg_sasl wants it */
	const struct xattr *xattr;
};

/* NULL without memory. conf is borrowed. */
struct smtp_in *smtp_in_new(const struct smtp_in_conf *, const struct smtp_in_facts *);
void smtp_in_free(struct smtp_in *);
/* The greeting; after the handshake on a port with implicit TLS. */
void smtp_in_start(struct smtp_in *);

/*
 * Takes octets up to the next thing to be done; 0 while it waits for an answer. Spans
 * of content borrow from in: perform the actions before in goes away.
 */
size_t smtp_in_input(struct smtp_in *, const char *in, size_t len);
/* 1: *a is to be performed now. 0: nothing is left to do. */
int smtp_in_next(struct smtp_in *, struct smtp_action *a);
/* An answer is awaited; no input is taken. */
int smtp_in_waiting(const struct smtp_in *);
/* A commit is at work: its end is worth waiting for. */
int smtp_in_committing(const struct smtp_in *);
int smtp_in_in_data(const struct smtp_in *);

/* The client has shown a certificate; before the greeting or smtp_in_tls_ready(). */
void smtp_in_certificate(struct smtp_in *);
void smtp_in_tls_ready(struct smtp_in *);
/* text: words for the client instead of the usual ones, may be "". */
void smtp_in_etrn_answer(struct smtp_in *, enum answer_status);
/* check_sender as in smtp_in_facts, of the new client; refusal: a 421, or NONE. */
void smtp_in_xclient_answer(struct smtp_in *, int check_sender, enum smtp_reply refusal);
void smtp_in_sender_answer(struct smtp_in *, enum smtp_sender);
/* What is noted with the recipient that is answered next, of RCPT_FILING. */
void smtp_in_rcpt_filing(struct smtp_in *, uint8_t filing);
void smtp_in_rcpt_answer(struct smtp_in *, enum rclass, const char *text);
void smtp_in_sasl_answer(struct smtp_in *, enum sasl_status, const uint8_t *data,
    size_t len, const char *text);
/* 0: the octets are to be given to smtp_in_input() now, before all of the client. -1:
 * they are not wanted. no_owner: nobody of this host. */
int smtp_in_url_answer(struct smtp_in *, enum answer_status, int no_owner, uint64_t size);
void smtp_in_open_answer(struct smtp_in *, enum answer_status);
/* The content cannot be kept. The rest is read and the refusal comes at its end. */
void smtp_in_content_failed(struct smtp_in *, enum answer_status);
void smtp_in_commit_answer(
    struct smtp_in *, int code, const char *enhanced, const char *text);
/* The client is silent; the host stops. Replies 421 and closes. */
void smtp_in_timeout(struct smtp_in *);
void smtp_in_shutdown(struct smtp_in *);
/* The account has changed: as above. */
void smtp_in_login_ended(struct smtp_in *);
/* What this login may send, where it is less than what the host takes. */
void smtp_in_limit_size(struct smtp_in *, uint64_t size_max);

/* What extensions asked for, of the transaction. */
struct smtp_in_ext {
	uint8_t require_tls;
	uint8_t has_priority;
	int8_t priority;
	uint8_t priority_lowered; /* less than was asked for */
	int64_t release;          /* wall seconds, 0: at once */
	char hold[40];            /* the parameter that asked for it */
	int64_t by;               /* wall seconds */
	uint8_t by_mode;          /* 'R', 'N' or 0 */
	uint8_t by_trace;
};

/* The transaction. Addresses are in printed form, without <>. */
const char *smtp_in_helo(const struct smtp_in *); /* "" before it was said */
int smtp_in_esmtp(const struct smtp_in *);
int smtp_in_authenticated(const struct smtp_in *);
const char *smtp_in_sender(const struct smtp_in *);
size_t smtp_in_nrcpt(const struct smtp_in *);
const char *smtp_in_rcpt(const struct smtp_in *, size_t i);
uint64_t smtp_in_size_hint(const struct smtp_in *);
uint8_t smtp_in_body(const struct smtp_in *);
int smtp_in_smtputf8(const struct smtp_in *);
/* What the client asked to be told (RFC 3461); smtp_parse.h has the bits. */
const char *smtp_in_envid(const struct smtp_in *); /* xtext, "" */
uint8_t smtp_in_ret(const struct smtp_in *);
/* With RCPT_FILING in it. */
uint8_t smtp_in_notify(const struct smtp_in *, size_t i);
const char *smtp_in_orcpt(const struct smtp_in *, size_t i); /* "" */
const struct smtp_in_ext *smtp_in_ext(const struct smtp_in *);
/* RRVS of a recipient: its letter, or 0 and nothing. */
uint8_t smtp_in_rrvs(const struct smtp_in *, size_t i, int64_t *since);
/* Of the one that SMTP_ACT_RCPT asks about. */
const char *smtp_in_pending(const struct smtp_in *);
uint8_t smtp_in_rrvs_pending(const struct smtp_in *, int64_t *since);
/* What XFORWARD said of the present message's origin, or NULL. */
const struct xattr *smtp_in_forward(const struct smtp_in *);
const struct smtp_data *smtp_in_content(const struct smtp_in *);

#endif

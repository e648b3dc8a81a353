/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_IN_INTERNAL_H
#define FIFE_SMTP_IN_INTERNAL_H

/* What smtp_in.c (the machine) and smtp_cmd.c (the commands) share. */

#include "common/front/sasl_exchange.h"
#include "smtpd/smtp_data.h"
#include "smtpd/smtp_in.h"
#include "smtpd/smtp_lex.h"
#include "smtpd/smtp_parse.h"

#define ACTIONS_MAX 6
#define AUTH_TRIES_MAX 5
/* Refused recipients: a list with stale addresses is no attack yet. */
#define BAD_RCPTS_FACTOR 5

enum state {
	ST_START, /* no EHLO */
	ST_HELLO,
	ST_MAIL,
	ST_RCPT, /* at least one recipient */
	ST_AUTH, /* lines are responses */
	ST_DATA,
	ST_BDAT,   /* within a chunk */
	ST_CHUNKS, /* between two of them */
	ST_TLS,    /* handshake */
	ST_CLOSED,
};
#define ST_BIT(s) (1u << (s))

enum wait {
	WAIT_NONE,
	WAIT_TLS,
	WAIT_ETRN,
	WAIT_XCLIENT,
	WAIT_SENDER,
	WAIT_RCPT,
	WAIT_SASL,
	WAIT_OPEN,
	WAIT_URL,
	WAIT_COMMIT
};

struct smtp_in_rcpt {
	char *address;
	char *orcpt; /* NULL: "" */
	uint8_t notify;
	uint8_t rrvs_action;
	int64_t rrvs;
};

struct smtp_in {
	const struct smtp_in_conf *conf;
	struct smtp_in_facts facts;
	enum state state;
	enum wait wait;
	struct smtp_lex lex;
	struct smtp_data data;

	char *helo;
	uint8_t esmtp;
	uint8_t authenticated;
	uint64_t login_size_max; /* 0: none */
	uint32_t errors;
	uint32_t bad_rcpts;
	uint32_t idle_commands; /* since the last message that was taken */
	uint32_t auth_failures;

	/* the transaction */
	char *sender;
	struct smtp_in_rcpt *rcpt;
	size_t nrcpt;
	size_t rcpt_cap;
	size_t rcpt_octets; /* of addresses and ORCPT */
	uint64_t size_hint;
	uint8_t body;
	uint8_t smtputf8;
	uint8_t ret;
	char *envid; /* NULL: "" */
	struct smtp_in_ext ext;
	uint8_t opened;
	uint8_t refused_rcpt;           /* one of them was */
	uint8_t forget;                 /* it is over once the queued actions are done */
	enum smtp_reply content_failed; /* SMTP_REPLY_NONE while all is well */

	char etrn[SMTP_HELO_MAX + 1];
	struct xattr *xattr;   /* of XCLIENT, while it is taken in */
	struct xattr *forward; /* of XFORWARD, NULL: none */

	uint64_t chunk_left; /* octets of the present one to come */
	uint8_t chunk_last;
	uint8_t from_url;       /* of BURL */
	char *url;              /* that is asked about */
	uint8_t chunk_unwanted; /* read it, then chunk_reply in chunk_back */
	uint8_t chunk_failed;   /* what was sent behind a refused one is no error */
	enum smtp_reply chunk_reply;
	enum state chunk_back;

	struct smtp_in_rcpt pending; /* that is asked about */
	struct sasl_exchange sasl;

	struct smtp_action act[ACTIONS_MAX];
	unsigned int act_head;
	unsigned int act_n;
	char *out; /* replies of the queued actions */
	size_t out_len;
	size_t lmtp_left; /* replies behind the first one (RFC 2033, 4.2) */
	char *lmtp_reply;
};

void smtp_in_act(struct smtp_in *, const struct smtp_action *);
void smtp_in_reply(struct smtp_in *, enum smtp_reply);
void smtp_in_reply_text(
    struct smtp_in *, int code, const char *enhanced, const char *text);
/* A reply to something that the client did wrong: counted. */
void smtp_in_error(struct smtp_in *, enum smtp_reply);
/* A command that leads nowhere by itself: a few are nothing, many are errors. */
void smtp_in_idle(struct smtp_in *);
/* Something is refused that the log should know: rcpt may be "". */
void smtp_in_refuse(
    struct smtp_in *, enum smtp_reply, const char *rcpt, const char *text);
/* Reply and close. */
void smtp_in_end(struct smtp_in *, enum smtp_reply);
/* Forget the transaction, at the queue as well. */
void smtp_in_reset(struct smtp_in *);
void smtp_in_rcpt_clear(struct smtp_in_rcpt *);

/* The largest message that is taken. */
uint64_t smtp_in_size_max(const struct smtp_in *);
/* smtp_ext.c: EHLO's lines of some extensions; their parameters at MAIL. */
#define SMTP_EXT_EHLO_MAX 300
const char *smtp_ext_ehlo(const struct smtp_in *, char *buf, size_t cap);
/* SMTP_REPLY_NONE, or what refuses it. */
enum smtp_reply smtp_ext_mail(struct smtp_in *, const struct smtp_command *);
/* 250 to MAIL. */
void smtp_ext_sender_ok(struct smtp_in *);

/* smtp_xclient.c */
void smtp_xclient(struct smtp_in *, const struct smtp_command *);
void smtp_xforward(struct smtp_in *, const struct smtp_command *);

/* smtp_bdat.c */
void smtp_bdat_start(struct smtp_in *, const struct smtp_command *);
/* Of so many octets, where content may come. */
void smtp_bdat_chunk(struct smtp_in *, uint64_t size);
enum smtp_reply smtp_bdat_unwanted(const struct smtp_in *);
/* smtp_burl.c */
void smtp_burl_start(struct smtp_in *, const struct smtp_command *);
int smtp_burl_offered(const struct smtp_in *);
size_t smtp_bdat_input(struct smtp_in *, const char *in, size_t len);
/* The queue has answered. */
void smtp_bdat_opened(struct smtp_in *, enum answer_status);

/* smtp_in.c: content, and its end. Octets taken. */
size_t smtp_in_data_feed(
    struct smtp_in *, const char *in, size_t len, enum smtp_data_result *);
void smtp_in_data_end(struct smtp_in *);
enum smtp_reply smtp_in_queue_reply(enum answer_status);

/* smtp_cmd.c: a whole line in the command phase; more: octets lie behind it. */
void smtp_cmd_line(struct smtp_in *, const char *line, size_t len, int more);
/* smtp_auth.c */
void smtp_auth_start(struct smtp_in *, const struct smtp_command *);
void smtp_auth_line(struct smtp_in *, const char *line, size_t len);
int smtp_auth_offered(const struct smtp_in *);
/* The line of EHLO's reply, "" when it is not offered. Returns buf. */
#define SMTP_AUTH_EHLO_MAX 200
const char *smtp_auth_ehlo(const struct smtp_in *, char *buf, size_t cap);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_RECORD_H
#define FIFE_QUEUED_RECORD_H

/*
 * The records of the journal, as bytes; no I/O. fife-spool(5) describes them.
 * A record is a header of REC_HEADER octets, a body, and zeros up to a multiple
 * of REC_ALIGN. Its checksum is seeded with the spool's generation, the
 * segment's sequence number and the record's offset, so that a record is valid in
 * one place only. Decoded strings borrow from the buffer.
 */

#include <stddef.h>
#include <stdint.h>

#include "queued/bytes.h"

#define REC_HEADER 32
#define REC_ALIGN 8
#define REC_MAGIC 0x314a4651U /* "QFJ1" */
#define REC_LEN_MAX (16U * 1024 * 1024)
#define REC_PAD(len) (((len) + REC_ALIGN - 1) & ~(uint32_t)(REC_ALIGN - 1))

#define REC_RCPTS_MAX 100000

enum rec_type {
	REC_OPEN = 1, /* the first of each segment */
	REC_MESSAGE,  /* a new message, or all of it written anew */
	REC_STATE,    /* flags, and states of some recipients */
	REC_REMOVED,  /* the message is forgotten */
	REC_GLOBAL,   /* ids reserved, queue-wide hold */
	REC_RULES     /* all freeze rules (queued/freeze.h), in place of those before */
};

#define REC_F_MORE 0x01 /* counts only together with the next record */

struct rec_header {
	uint32_t len; /* header and body, without padding */
	uint8_t type;
	uint8_t flags;
	uint32_t epoch;  /* of the run that wrote it: never decreases */
	uint32_t synced; /* offset up to which the segment was durable then */
	uint64_t id;
};

uint32_t rec_seed(uint64_t generation, uint64_t seq, uint32_t off);
/* Write the header before the body at rec + REC_HEADER, and the padding. rec has
 * room for REC_PAD(h->len). */
void rec_seal(uint8_t *rec, const struct rec_header *h, uint32_t seed);
/* 1: valid; 0: nothing here; -1: damaged. */
int rec_check(const uint8_t *rec, size_t avail, uint32_t seed, struct rec_header *h);

/* Flags of a message; the low octets are on disk. */
#define QM_HELD 0x0001
#define QM_JUNK 0x0002
#define QM_QUARANTINE 0x0004 /* held by the filter */
#define QM_BOUNCE 0x0008     /* made here, null reverse-path */
#define QM_SMTPUTF8 0x0010
#define QM_FILE 0x0020   /* content in body/XX/ID */
#define QM_WARNED 0x0040 /* the sender knows of the delay */
#define QM_BY_TOLD 0x80  /* the sender knows that its time (RFC 2852) has passed */
#define QM_ON_DISK 0x00ff
#define QM_BY_WATCHED 0x2000 /* deadline.c has it */
/* In a message's record only: fields of extensions follow. */
#define QM_EXTENDED 0x10000
#define QM_DIRTY 0x0100                  /* changed since the checkpoint */
#define QM_IN_CKPT 0x0200                /* the checkpoint has it */
#define QM_PENDING 0x0400                /* not durable yet */
#define QM_DEAD 0x0800                   /* removed, not durably yet */
#define QM_FROZEN 0x1000                 /* a freeze rule keeps some of it back */
#define QM_SENDER(flags) ((flags) >> 24) /* a hash of the sender, for fairness */
#define QM_SENDER_MASK 0xff000000U

/* NOTIFY of RFC 3461, 4.1, as msg_txn_rcpt.notify carries it; 0: not given. */
#define NOTIFY_SUCCESS 0x01
#define NOTIFY_FAILURE 0x02
#define NOTIFY_DELAY 0x04
#define NOTIFY_NEVER 0x08
/* The rest of the octet is RCPT_FILING, and: */
#define NOTIFY_FORWARDED 0x20 /* an alias or a user's forward led here */
#define NOTIFY_WISH 0x0f

/* RET of RFC 3461, 4.3. */
#define RET_NONE 0
#define RET_FULL 1
#define RET_HDRS 2

/* What the extensions of SMTP ask for a message. All zero: nothing, and then nothing is
 * written. */
#define REC_HOLD_MAX 39
#define REC_LIST_MAX 600
#define REC_TLS_REQUIRED 1 /* REQUIRETLS of RFC 8689 */
#define REC_TLS_OPTIONAL 2 /* its "TLS-Required: No" */
#define REC_BY_RETURN 'R'  /* RFC 2852 */
#define REC_BY_NOTIFY 'N'
#define REC_PRIORITY_MAX 9 /* RFC 6710: from -9 */
struct rec_ext {
	int8_t priority;
	uint8_t tls;      /* one of REC_TLS_ */
	int64_t release;  /* not before (RFC 4865), wall seconds */
	const char *hold; /* the parameter that asked for it; NULL: "" */
	int64_t by;       /* deliver by, wall seconds, may have passed */
	uint8_t by_mode;  /* one of REC_BY_; 0: none */
	uint8_t by_trace;
	uint8_t utf8_header; /* of a message with QM_SMTPUTF8: its header needs that */
	const char *list;    /* of a list's post, as listpost_format() has it; NULL: "" */
};

enum rcpt_state {
	RCPT_LIVE = 1, /* to be tried; deferred when attempts > 0 */
	RCPT_DONE,
	RCPT_FAILED,
	RCPT_REMOVED
};

#define REC_R_ADDRESS 0x01
#define REC_R_RESULT 0x02
#define REC_R_RRVS 0x04 /* only with the address */

struct rec_rcpt {
	uint32_t num; /* counted from 0 within the message */
	uint8_t state;
	uint8_t notify;
	uint16_t attempts;
	int64_t next; /* wall seconds */
	uint8_t has;  /* REC_R_x: which of the strings follow */
	const char *address;
	const char *orcpt;
	int64_t rrvs;         /* RFC 7293: valid since, wall seconds */
	uint8_t rrvs_action;  /* 'R' or 'C': where the next host knows nothing of it */
	const char *enhanced; /* of the last result */
	const char *mta;
	const char *text;
};

struct rec_message {
	int64_t created;
	uint64_t size; /* of the content */
	uint32_t crc;
	uint32_t flags;
	uint8_t body;
	uint8_t ret;
	uint64_t login;
	struct rec_ext ext;
	const char *sender;
	const char *client;
	const char *helo;
	const char *login_address;
	const char *envid;
	const char *reason; /* of quarantine */
	const uint8_t *prefix;
	size_t prefix_len;
	uint32_t nrcpt;
	/* Decoded: the recipients, for rec_rcpt_next(), and the content (NULL when
	 * in a file). */
	struct bytes_in rcpts;
	const uint8_t *content;
};

/* Encoders write the body without the content, which the caller appends. */
void rec_message_encode(const struct rec_message *, struct bytes_out *);
void rec_rcpt_encode(const struct rec_rcpt *, struct bytes_out *);
/* All decoders: 0, or -1 when not exactly right. Body without header. */
int rec_message_decode(const uint8_t *body, size_t len, struct rec_message *);
/* The next of a decoded list: 1, 0 at the end, -1. */
int rec_rcpt_next(struct bytes_in *, struct rec_rcpt *);

/* record_ext.c: the block of fields, its length (2) first. Nothing for nothing. */
int rec_ext_is_empty(const struct rec_ext *);
void rec_ext_encode(const struct rec_ext *, struct bytes_out *);
/* 0; -1: not as rec_ext_encode() writes it. hold borrows. */
int rec_ext_decode(struct bytes_in *, struct rec_ext *);

struct rec_state {
	uint32_t flags;
	uint32_t nrcpt;
	struct bytes_in rcpts;
};
void rec_state_encode(const struct rec_state *, struct bytes_out *);
int rec_state_decode(const uint8_t *body, size_t len, struct rec_state *);

struct rec_removed {
	uint64_t seq; /* of the segment that holds the message */
};
void rec_removed_encode(const struct rec_removed *, struct bytes_out *);
int rec_removed_decode(const uint8_t *body, size_t len, struct rec_removed *);

/* REC_GLOBAL and REC_OPEN. */
struct rec_global {
	uint64_t reserved; /* ids below this may be in use */
	uint8_t hold;
	uint64_t prev_seq; /* REC_OPEN: the segment before this one, 0: none */
	uint32_t prev_end; /* where that one ends; what lies beyond never counts */
};
void rec_global_encode(const struct rec_global *, struct bytes_out *);
int rec_global_decode(const uint8_t *body, size_t len, struct rec_global *);

#endif

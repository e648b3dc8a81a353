/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_TXN_PRIVATE_H
#define FIFE_QUEUED_TXN_PRIVATE_H

/* Shared by txn.c (from BEGIN to the end of the content) and commit.c. */

#include <sys/queue.h>

#include "common/channel.h"
#include "queued/checksum.h"
#include "queued/record.h"
#include "queued/txn.h"

#define TXN_WAIT_SUM 0x01   /* the file's checksum */
#define TXN_WAIT_BODY 0x02  /* its sync */
#define TXN_WAIT_LOGIN 0x04 /* authd's word about it */

enum txn_state {
	TXN_OPEN,
	TXN_COMMITTING
};

struct txn {
	uint64_t serial; /* of the channel */
	uint64_t id;     /* of the queue */
	uint64_t answer; /* request that waits for COMMITTED */
	struct msg_txn_begin begin;
	enum txn_state state;
	int fd; /* the memory, or the file read-only */
	int in_file;
	int bad;          /* a recipient was lost: no commit */
	int refused;      /* status for COMMIT, why in reason; a whole one not begun */
	uint8_t *content; /* of a whole one */
	size_t content_len, content_cap;
	int is_final; /* FINAL was asked: final_crc is what filterd saw */
	uint32_t final_crc;
	struct checksum *sum; /* under way, for FINAL or for COMMIT */
	uint8_t *rcpts;       /* encoded */
	size_t rcpts_len, rcpts_cap;
	uint32_t nrcpt;
	/* of a login */
	uint32_t nasked;   /* recipients that authd was told of */
	uint32_t nanswers; /* that have to come */
	uint8_t hold;
	/* of COMMIT */
	unsigned int waits; /* TXN_WAIT_x: what must come before it is written */
	int failed;         /* then this is the answer (enum answer_status) */
	const char *failed_text;
	uint64_t size;
	uint32_t crc;
	uint8_t disposition;
	uint8_t tls_optional;
	uint8_t utf8_header;
	char reason[256];
	uint8_t *prefix;
	size_t prefix_len;
	LIST_ENTRY(txn) hash;
	TAILQ_ENTRY(txn) order; /* by id */
};

/* Of the channel with that serial number; NULL: none. */
struct txn *txn_find(uint64_t serial, uint64_t txn);
void txn_free(struct txn *);
/* What the extensions ask for, in the record's form; -1: no smtpd says that. */
int txn_ext(const struct msg_txn_begin *, struct rec_ext *);
/* Nothing remains of it. */
void txn_drop(struct txn *);
void txn_status_send(struct channel *, enum msg_type, uint64_t request, uint64_t txn,
    int status, int fd, const char *text);

/* One thing less to wait for; status not MSG_OK: it ends with that, as soon as nothing
 * refers to it any more. */
void commit_waited(struct txn *, unsigned int what, int status, const char *text);

/* sender.c: authd decides about what a login sends, by the login's record. */
/* Soon, when its recipients are there as well: while the content comes. */
void sender_soon(struct txn *);
/* COMMIT: 1, and commit_waited() follows; 0: it has the answer already. */
int sender_wait(struct txn *);

void commit_final(struct channel *, struct msg *);
void commit_start(struct channel *, struct msg *);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_HELD_H
#define FIFE_LISTD_HELD_H

/*
 * Posts that wait for an owner, as files below the root directory:
 *
 *	held/ID			a line for each fact, an empty line, the fields of this
 *				host, the message
 *	done/ID-QUEUEID-RCPT	one that was approved or rejected by that delivery
 *
 * ID is a MAC of the delivery that brought it, by a secret of this host: the same
 *delivery, repeated, finds its own file, and nobody guesses one. A delivery that was
 *interrupted after it took a post finds it again under done/, until queued says that it
 *is over.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/proto/listpost.h"

#define HELD_ID_LEN 16
#define HELD_DAYS 30
#define HELD_MAX 5000     /* of all lists */
#define HELD_LIST_MAX 500 /* of one: strangers who flood it leave the others theirs */
#define HELD_OCTETS_MAX (UINT64_C(2) << 30) /* of all lists */
#define HELD_LIST_OCTETS_MAX (UINT64_C(256) << 20)

struct held {
	char id[HELD_ID_LEN + 1];
	char list[ADDRESS_MAX + 1];
	char author[ADDRESS_MAX + 1];
	char sender[ADDRESS_MAX + 1];
	char subject[501];
	char why[201];
	int64_t time;
	uint64_t prefix_len;
	uint64_t size;   /* of the message */
	uint64_t offset; /* of the prefix in the file */
};

/* root: "" in the daemon. 0 or -1 (logged). */
int held_open(const char *root);
void held_close(void);
unsigned int held_count(void);
/* The id for a delivery. */
void held_id(uint64_t queue_id, uint32_t rcpt, char id[HELD_ID_LEN + 1]);
int held_id_valid(const char *);
/* Durable when it returns 0; -1: errno, EDQUOT: too many are held. Is there already: 0 as
 * well. */
int held_put(const struct held *, const char *prefix, int fd);
/* The file and its facts; -1: there is none of that id (ENOENT), or it cannot be read. */
int held_get(const char *id, struct held *);
/*
 * The delivery takes it: the same as held_get(). ENOENT also when another one has taken
 * it before, or when it is another list's, which keeps it.
 */
int held_take(
    const char *id, const char *list, uint64_t queue_id, uint32_t rcpt, struct held *);
/* That list's, or NULL, any. 0, or -1 with errno. */
int held_discard(const char *id, const char *list);
/* In no order; cb returns nonzero to stop. */
void held_walk(int (*cb)(const struct held *, void *), void *arg);
/* Deliveries below that id are over: forget what they took. */
void held_forget(uint64_t oldest_live);
/* Older than HELD_DAYS: removed; cb hears of each. */
void held_expire(int64_t now, void (*cb)(const struct held *, void *), void *arg);

/* A file without a name, to write a message into. -1 with errno. */
int held_temp(void);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_INDEX_H
#define FIFE_QUEUED_INDEX_H

/*
 * What is in the queue, in memory and small: where a message is in the journal and
 * where its recipients stand. Addresses and reasons stay on the disk. No I/O:
 * records are applied here, by a replay and by the running process alike.
 */

#include <stddef.h>
#include <stdint.h>

#include "queued/journal.h"
#include "queued/record.h"

#define QX_BY_RETURN 0x01 /* given up when by has passed */
#define QX_RELEASE 0x02   /* created is the time of its release */

struct qrcpt {
	uint32_t dest;      /* slot in the table of destinations */
	uint32_t next;      /* wall seconds */
	struct loc address; /* the record that holds the address */
	struct loc result;  /* the record that holds the last result; seg 0: none */
	uint16_t attempts;
	uint8_t state; /* enum rcpt_state */
	uint8_t notify;
};

struct qmsg {
	uint64_t id;
	uint64_t size; /* of the content */
	uint32_t crc;
	uint32_t created; /* wall seconds; of its release where that is later */
	struct loc at;    /* its REC_MESSAGE */
	uint32_t reclen;
	uint32_t flags_seg; /* segment of the record with the latest flags */
	uint32_t flags;     /* QM_x */
	uint32_t nrcpt;
	uint32_t nlive;
	uint32_t items;  /* of the schedule: first of the list, 0: none */
	uint32_t by;     /* deliver by, wall seconds; 0: none */
	int8_t priority; /* RFC 6710 */
	uint8_t ext;     /* QX_x */
	struct qrcpt rcpt[];
};

struct qdest {
	char *name; /* domain in lower case; NULL: the slot is free */
	uint32_t refs;
	uint8_t saved; /* the checkpoint has it */
};

struct index_slot {
	uint64_t id;
	struct qmsg *msg; /* NULL: gone */
};

struct index {
	struct index_slot *slots; /* by id */
	size_t nslots, slots_cap, first, ngone;
	size_t nmsgs;
	uint64_t nlive_rcpts, nheld, ndeferred, octets;
	struct qdest *dests;
	uint32_t ndests, dests_cap, dest_free;
	uint32_t *dest_hash; /* slot + 1 */
	uint32_t hash_cap;
	uint64_t *dirty; /* ids changed since the checkpoint */
	size_t ndirty, dirty_cap;
	uint64_t reserved;
	uint8_t hold;
	uint32_t epoch; /* the journal's, when the checkpoint was made */
	uint8_t *rules; /* freeze rules, encoded; the record's body */
	size_t rules_len;
	/* References to segments, told to the journal. */
	void (*ref)(void *, uint32_t seg, uint32_t octets, int add);
	void *ref_arg;
	int bad; /* a record did not fit what was known, or no memory */
};

void index_init(struct index *, void (*ref)(void *, uint32_t, uint32_t, int), void *arg);
void index_clear(struct index *);

/* NULL if it is not there. */
struct qmsg *index_find(const struct index *, uint64_t id);
/* The first with an id of at least that; NULL at the end. */
struct qmsg *index_next(const struct index *, uint64_t id);
/* The lowest id that is still live; UINT64_MAX when the queue is empty. */
uint64_t index_oldest(const struct index *);
/* Take a message off (after its REC_REMOVED is durable). */
void index_forget(struct index *, struct qmsg *);
/* A loaded message (of the checkpoint) enters; taken. Its destinations are counted. 0 or
 * -1. */
int index_add_loaded(struct index *, struct qmsg *);

/*
 * Apply a record. replay: a REC_REMOVED takes the message off at once;
 * otherwise it only becomes QM_DEAD. Returns the message, or NULL (none, or no memory:
 * then ix->bad is set).
 */
struct qmsg *index_apply(struct index *, struct loc, const struct rec_header *,
    const uint8_t *body, int replay);

/* Slot of that domain (any case), made if needed; UINT32_MAX without memory. */
uint32_t index_dest(struct index *, const char *domain, size_t len);
int index_dest_set(struct index *, uint32_t slot, const char *name);
const char *index_dest_name(const struct index *, uint32_t slot);
/* Free slots that nothing uses any more. */
void index_dests_sweep(struct index *);
/* Find the domain in an address, as (pointer, length). */
const char *index_domain(const char *address, size_t *len);
/* Copied. 0, or -1 without memory. */
int index_set_rules(struct index *, const uint8_t *, size_t);
void index_mark_dirty(struct index *, struct qmsg *);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SPOOL_H
#define FIFE_QUEUED_SPOOL_H

/*
 * The spool: journal, index, checkpoint and body files as one thing that takes a
 * message, changes it, forgets it, and gives it back. Every change is a record
 * that is appended and then applied to the index; spool_commit() makes it durable.
 * fife-spool(5) describes the files.
 */

#include <sys/types.h>

#include "queued/index.h"
#include "queued/journal.h"

#define SPOOL_INLINE_MAX (256 * 1024) /* larger contents have files of their own */
#define SPOOL_RCPT_OCTETS_MAX (1024 * 1024)

struct event_base;
struct spool;

struct spool_conf {
	const char *root;      /* directory; borrowed during the open */
	uint32_t segment_size; /* 0: by the file system's size */
	uint64_t disk_reserve; /* octets that stay free */
};

/*
 * Lock, recover, get ready. base NULL: synchronous. NULL with a sentence in why. The
 * lock is waited for up to wait_s seconds.
 */
struct spool *spool_open(struct event_base *, const struct spool_conf *, int wait_s,
    char *why, size_t why_cap);
/* Checkpoint if it can be, then close. */
void spool_close(struct spool *);
/* As a crash would: for tests. */
void spool_abandon(struct spool *);

struct index *spool_index(struct spool *);
struct journal *spool_journal(struct spool *);
void spool_set_reserve(struct spool *, uint64_t disk_reserve);
/* NULL, or the sentence why new messages are refused for now. known: of this host's own
 * users, who may use the reserve down to a quarter of it. */
const char *spool_low(struct spool *, int known);
uint64_t spool_disk_free(struct spool *);
/* NULL, or a sentence for status: damage found. */
const char *spool_degraded(struct spool *);
void spool_set_degraded(struct spool *, const char *);

/* A fresh id; 0 when none can be reserved. */
uint64_t spool_id(struct spool *);
int spool_held(struct spool *);
/* Hold or release the whole queue; 0 or -1. */
int spool_set_held(struct spool *, int);

/* The freeze rules (encoded; at most FREEZE_OCTETS_MAX): borrowed until they are set. */
const uint8_t *spool_rules(struct spool *, size_t *len);
/* Durable when it returns 0; -1. */
int spool_set_rules(struct spool *, const uint8_t *, size_t len);

/* A message to write. rec.rcpts and rec.nrcpt: recipients encoded by
 * rec_rcpt_encode(); rec.crc is computed here for an inline content. */
struct spool_message {
	struct rec_message rec;
	int fd;              /* the content from offset 0, or -1 */
	const uint8_t *data; /* or here */
};

/* Octets that the records take, for spool_room(). */
uint32_t spool_message_len(const struct spool_message *);
uint32_t spool_state_len(size_t rcpts_len);
uint32_t spool_removed_len(void);
/* Room for these, one after another; see journal_room(). */
int spool_room(struct spool *, uint32_t len, int privileged);
/*
 * Append and apply; after spool_room(). more: counts only together with the next. A
 * new message is QM_PENDING until spool_live(). NULL or -1: nothing was written, or the
 * journal is broken.
 */
struct qmsg *spool_put_message(
    struct spool *, uint64_t id, const struct spool_message *, int more);
struct qmsg *spool_put_state(struct spool *, struct qmsg *, uint32_t flags,
    uint32_t nrcpt, const uint8_t *rcpts, size_t rcpts_len, int more);
int spool_put_removed(struct spool *, struct qmsg *, int more);
void spool_commit(struct spool *, int urgent, journal_cb, void *arg);
/* All in one, privileged: the state of one message. */
struct qmsg *spool_change(struct spool *, struct qmsg *, uint32_t flags, uint32_t nrcpt,
    const uint8_t *rcpts, size_t rcpts_len);
int spool_remove(struct spool *, struct qmsg *);
/* Written anew with another priority: it may move in memory. NULL: as it was. */
struct qmsg *spool_set_priority(struct spool *, struct qmsg *, int priority);

/* A message read back: envelope and recipients, which borrow from it. */
struct spool_view {
	struct rec_message rec;
	struct rec_rcpt *rcpts; /* rec.nrcpt of them, those added later too */
	uint32_t nrcpt;
	uint32_t lost; /* records of results that cannot be read */
	uint8_t **bufs;
	size_t nbufs;
};
/* 0, or -1 with errno (EBADMSG: damaged). */
int spool_view(struct spool *, const struct qmsg *, struct spool_view *);
void spool_view_clear(struct spool_view *);
/* The content as a descriptor to give away: sealed memory, verified, or a read-only
 * file (QM_FILE), whose checksum the caller has to compare first (queued/checksum.h).
 * -1 with errno. */
int spool_content(struct spool *, const struct qmsg *, const struct spool_view *);
/* Keep the sealed memory of a message that will be asked for soon; taken. */
void spool_keep(struct spool *, uint64_t id, int fd);
/* Up to cap octets from the beginning of the content; the length, or -1. Of a file
 * nothing but the length is verified. */
ssize_t spool_read(struct spool *, const struct qmsg *, const struct spool_view *,
    uint8_t *buf, size_t cap);

/* Body files. Both descriptors are the caller's; *rd is read-only. 0 or -1. */
int spool_body_create(struct spool *, uint64_t id, int *wr, int *rd);
void spool_body_unlink(struct spool *, uint64_t id);
/* Make a complete one durable, file and directory; rd is borrowed until cb. */
int spool_body_sync(struct spool *, uint64_t id, int rd, journal_cb, void *arg);
/* At one go: not for the running daemon. */
int spool_checksum(int fd, uint64_t size, uint32_t *crc);

/* Every so often: checkpoint when due, recycle, copy forward. */
void spool_tick(struct spool *, uint64_t now_ms);
/* 0 or -1 with errno. */
int spool_checkpoint(struct spool *);
/* Check a message on the disk: 0; 1 with a word in *what: all of it is there but for a
 * reply; -1: damaged. */
int spool_verify(struct spool *, const struct qmsg *, const char **what);
/*
 * Repair, repair.c. One message: 0 whole; 1 written anew elsewhere, since something of it
 * was lost (*what) or its segment is damaged (*what NULL); -1 damaged (*what), and held
 * from now on. It may move in memory.
 */
int spool_repair(struct spool *, struct qmsg *, const char **what);
/* Body files that no message of before this run has; the number. keep: moved to
 * body/lost.ID, so that they stay. */
uint64_t spool_orphans(
    struct spool *, int keep, void (*cb)(void *, const char *qid), void *arg);
/* After all were repaired: checkpoint, give damaged segments back. 0 or -1. */
int spool_repair_end(struct spool *, uint64_t damaged);

#endif

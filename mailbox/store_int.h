/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_STORE_INT_H
#define FIFE_MAILBOX_STORE_INT_H

/*
 * The inside of the store (store.h), shared by its files:
 *	store.c		open, close, flush, quota
 *	store_folders.c	the tree of folders, subscriptions
 *	folder.c	an open folder: messages, flags, expunge, watchers
 *	folder_files.c	its files: content, names that follow the flags, unlinking
 *	folder_meta.c	fife-folder: what survives the loss of the index
 *	keywords.c	names of keywords, and sets of them
 *	store_news.c	who is told of changes
 *	store_acl.c	fife-acl: who else may do what
 *	scan.c		what other programs did in the Maildir
 *	append.c	APPEND and COPY
 *	delivery.c	local delivery and its memory
 *	log.c		the change log
 *	index.c		lmdb: opening and reading; index_checkpoint.c: writing
 *	index_blocks.c	large folders, of which only what is needed is read
 *
 * Order of every change: check, append to the log (page cache: survives kill -9),
 * apply in memory. Checkpoints write memory to lmdb in one synced transaction
 * and begin the log anew. So lmdb is consistent at any moment, and the log holds
 * what happened since. After another boot the tail of the log may be missing: every
 * folder is compared with its files then ("recover"), and UIDNEXT and
 * HIGHESTMODSEQ continue at the bound that fife-folder has reserved.
 */

#include <lmdb.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <time.h>

#include "common/compat/compat.h"
#include "mailbox/maildir.h"
#include "mailbox/store.h"

#define RESERVE_UIDS 1024
#define RESERVE_MODSEQ 4096
#define LOG_CHECKPOINT (1024 * 1024) /* octets of log that make a checkpoint due */
#define LOG_LEAVE (64 * 1024)        /* shorter ones are left for the next open */
#define CACHE_PENDING_MAX (4 * 1024 * 1024)
#define CACHE_KINDS 16
#define FLUSH_BATCH 2000 /* renames and unlinks a store_flush() */
#define TMP_PREFIX "fife."
#define META_FILE "fife-folder"

/* A hash from uint64 to an owned pointer and length; key 0 is not used. */
struct map_slot {
	uint64_t key;
	void *value; /* NULL with key set: deleted */
	size_t len;
};
struct map {
	struct map_slot *slots;
	size_t n, cap; /* n counts deleted ones */
};
/* Takes value (freed when replaced). -1: no memory, value is freed. */
int map_put(struct map *, uint64_t key, void *value, size_t len);
struct map_slot *map_get(const struct map *, uint64_t key);
void map_remove(struct map *, uint64_t key);
void map_clear(struct map *);

struct expunged {
	uint64_t modseq;
	uint32_t uid;
};
#define EXPUNGED_KEEP 100000 /* of a folder, in the index */
struct expunged_record {
	uint64_t floor; /* expunges after this modseq are all known */
	uint32_t chunk; /* number of the next record */
	uint32_t total;
};

struct store_watch {
	LIST_ENTRY(store_watch) entry;
	void (*cb)(const struct store_news *, void *);
	void *arg;
};

/* Cached values of a message that is being added, as records; see learn.c. */
struct learnt {
	uint8_t *buf;
	size_t len, cap;
};

struct folder_fts; /* fts.c */

struct folder_watch {
	LIST_ENTRY(folder_watch) entry;
	struct folder *folder;
	void (*cb)(struct folder *, void *);
	void (*before)(struct folder *, void *); /* may be NULL */
	void *arg;
};

/* Messages with UIDs number * INDEX_BLOCK to number * INDEX_BLOCK + INDEX_BLOCK - 1. */
struct block {
	uint32_t number;
	uint32_t start; /* of its messages in f->msgs, while f->n_lazy > 0 */
	uint8_t n, unseen, recent;
	bool read; /* its messages are in f->msgs */
};
struct block_table {
	struct block *v; /* ascending, none empty */
	size_t n, cap;
};

struct folder {
	struct store *store;
	char name[STORE_NAME_MAX + 1];
	/* kept in the index also while it is not loaded */
	uint32_t id;
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t uid_reserved; /* UIDs below may be given */
	uint64_t modseq;
	uint64_t modseq_reserved;
	uint64_t octets;   /* of all messages */
	uint32_t messages; /* n, also while it is not loaded */
	bool uncounted;    /* the index does not say how many */
	char mailbox_id[FOLDER_ID_LEN + 1];
	struct expunged_record expunged_saved; /* in the index */
	struct expunged_record expunged_next;  /* while a checkpoint is written */
	uint32_t special;
	char **keywords;
	int n_keywords, keywords_cap;
	/* of sets with others than the first ones (keywords.c) */
	struct map lists;        /* number: keywords */
	struct map list_numbers; /* hash of a list: its number */
	size_t list_octets;
	uint32_t next_list;                 /* the highest that was given */
	bool old_keywords;                  /* the index has bit 63 for the 64th */
	struct timespec cur_time, new_time; /* of the directories, as known */

	uint32_t url_resets; /* how often its URLs were revoked by this process */

	bool loaded;
	bool gone;    /* its directory is not there any more */
	bool fresh;   /* its UIDVALIDITY is new: no UID was given yet */
	bool recover; /* compare with the files before use */
	bool needs_scan;
	bool racy;         /* the scan was within the clock's grain of a change */
	bool times_logged; /* cur_time and new_time are in the log */
	bool meta_missing; /* fife-folder has still to be written */
	bool detached;     /* not in the table any more; goes with its last reference */
	bool dirty;        /* differs from the index */
	bool rebuild;      /* the next checkpoint drops its records first */
	unsigned int news; /* FOLDER_NEWS_*, that watchers do not know yet */
	int refs;
	int dirfd, curfd;

	struct message *msgs; /* by folder_at(), as long as n_lazy > 0 */
	size_t n, cap;
	size_t unseen, recents;
	size_t n_lazy; /* of the first so many, blocks may not be read yet */
	size_t blocks_unread;
	struct block_table blocks;      /* as the index has them */
	struct block_table blocks_next; /* while a checkpoint is written */

	/* since the last checkpoint */
	uint8_t *dirty_blocks; /* bitmap of uid / INDEX_BLOCK */
	size_t dirty_blocks_len;
	struct map names; /* uid: file name */
	struct map cache; /* uid << 8 | kind: octets */
	uint32_t *deleted;
	size_t n_deleted, deleted_cap;

	/* batch.c: begun and not ended; batch_n 0: none */
	uint32_t batch_first, batch_n;

	/* keyword_file.c */
	uint32_t *keyword_marks;
	size_t n_keyword_marks, keyword_marks_cap;
	uint32_t keyword_file_len;  /* as this process has left it; 0: not known */
	uint32_t keyword_file_base; /* when it was last written anew */
	bool keyword_file_missing;  /* or not to be trusted: all is written */
	time_t keyword_file_failed; /* when, monotonic; 0: it was written */

	/* work put off: files whose flags are not in their names, files to remove */
	uint32_t *renames;
	size_t n_renames, renames_cap;
	struct map unlinks; /* uid: file name */

	struct expunged *expunged; /* not in the index yet */
	size_t n_expunged, expunged_cap;
	LIST_HEAD(, folder_watch) watches;
	struct folder_fts *fts; /* its search index; NULL: not used yet */
	struct acl *acl;        /* NULL: nobody else may do anything */
	bool acl_known;         /* its file was read */
};

struct delivered {
	uint64_t queue_id;
	uint64_t size;
	uint32_t rcpt;
	uint32_t crc;
	uint32_t folder;
	uint32_t uid;
	bool dirty;    /* not in the index */
	bool verified; /* written by this process, or compared with its file */
};

struct store {
	int dirfd, mailfd, indexfd, lockfd;
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *rtxn;
	bool rtxn_live;

	int logfd;
	uint64_t log_len;
	uint64_t generation;
	bool log_stale;      /* its header has still to be written */
	uint32_t batch_owed; /* the folder whose batch's end is still to be logged */
	bool log_unsynced;   /* changes that nothing else makes durable */
	bool replaying;
	bool index_lost;
	bool other_boot; /* the log's tail may be missing; until recover() is done */
	bool recovered;  /* it was so at the start */
	char boot[COMPAT_BOOT_ID_SIZE];

	uint64_t quota;
	uint64_t quota_messages;
	uint32_t next_id;
	uint32_t last_uidvalidity;
	struct timespec list_time; /* of Maildir/, as the table of folders knows it */
	struct folder **folders;   /* in order of names */
	size_t n_folders, folders_cap;
	uint32_t *removed_ids; /* folders to take out of the index */
	size_t n_removed;
	char **subscriptions; /* in order */
	size_t n_subscriptions;

	struct delivered *delivered; /* in order of queue id, rcpt */
	size_t n_delivered, delivered_cap;
	uint64_t oldest_live;
	bool delivered_pruned;

	size_t cache_pending;
	time_t cache_since;
	bool shared; /* some folder may have a list of rights */
	uint64_t acl_generation;
	bool trash;
	unsigned int trash_counter;
	struct timespec checkpoint_failed;
	bool fts_swept;
	bool outside; /* changes are found now, not made */
	LIST_HEAD(, store_watch) watches;
};

#define INDEX_BLOCK 48u /* UIDs a record */

/* ---- log.c ---- */
/* Opens index/log; replays what belongs to the generation. */
enum store_error log_open(struct store *);
enum store_error log_reset(struct store *); /* after a checkpoint */
int log_sync(struct store *);

struct log_record {
	uint8_t *buf;
	size_t len, cap;
	bool failed; /* no memory */
};
enum log_type {
	LOG_ADD = 1,
	LOG_FLAGS,
	LOG_EXPUNGE,
	LOG_NAMES,
	LOG_RECENT,
	LOG_TIMES,
	LOG_KEYWORD,
	LOG_FORGET,   /* a delivery that turned out not to be there */
	LOG_KEYWORDS, /* a list of them (keywords.c) */
	LOG_BATCH,    /* so many messages come, from that UID on (batch.c) */
	LOG_BATCH_END,
	LOG_MOVED, /* the same, and they are expunged elsewhere */
};
void log_begin(struct log_record *, enum log_type, const struct folder *);
void log_u8(struct log_record *, uint8_t);
void log_u32(struct log_record *, uint32_t);
void log_u64(struct log_record *, uint64_t);
void log_bytes(struct log_record *, const void *, size_t); /* with its length, 16 bits */
void log_raw(struct log_record *, const void *, size_t);
/* Writes and frees it. */
enum store_error log_write(struct store *, struct log_record *);

/* One record's payload, for replay and fuzzing. */
int log_apply(struct store *, const uint8_t *, size_t);

/* ---- index.c ---- */
enum store_error index_open(struct store *);
void index_close(struct store *);
/* Records of a folder's messages into f->msgs. */
enum store_error index_load(struct folder *);
/* The name of a message's file into out (MAILDIR_NAME_MAX + 1); -1: none. */
int index_name(struct folder *, uint32_t uid, char *out);
int index_cache(struct folder *, uint32_t uid, int kind, const uint8_t **, size_t *);
void index_forget_folder(struct store *, uint32_t id);
/* Those after modseq that the index has. -1: it cannot be read. */
int index_expunged(
    struct folder *, uint64_t modseq, void (*cb)(uint32_t uid, void *), void *arg);

/* ---- index_blocks.c ---- */
/* Folders of at most so many messages are read as a whole. */
extern size_t index_eager_max;
int blocks_add(struct block_table *, const struct block *); /* -1: no memory */
void blocks_clear(struct block_table *);
struct block block_count(uint32_t number, const struct message *, size_t n);
/* *out is free()d by the caller. -1: no memory. */
int blocks_encode(const struct block_table *, uint8_t **out, size_t *len);
/* -1: no memory, or not such a record; the table is to be cleared. */
int blocks_decode(struct block_table *, const uint8_t *, size_t len);
/* 1: f->msgs is there, and read when it is asked for. 0: the blocks must be read. */
int blocks_open(struct folder *);
/* i < f->n. The process ends, and marks the index, when it cannot be read. */
struct message *folder_at(struct folder *, size_t i);
bool folder_has_read(const struct folder *, size_t i);
/* Before messages go, or move in the array. */
void folder_read_all(struct folder *);
/* A message with that UID is in [*lo, *hi), or would stand at the end of it. */
void folder_narrow(const struct folder *, uint32_t uid, size_t *lo, size_t *hi);

/* ---- index_checkpoint.c ---- */
/* Everything in memory to lmdb, then the log anew. */
enum store_error index_checkpoint(struct store *);

/* ---- batch.c ---- */
/* Of any number: also one that moves is both there and gone, or neither. */
enum store_error batch_begin(struct folder *, size_t n);
/* The batch is complete, and those of the uids whose copy's is not 0 are expunged. */
enum store_error batch_end_moved(struct folder *, struct folder *from,
    const uint32_t *uids, const uint32_t *new_uids, size_t n);
/* After the log was read: what a batch has left that did not come to its end. */
void folder_batch_undo(struct folder *);

/* ---- index_guard.c ---- */
extern volatile sig_atomic_t index_inside; /* lmdb is at work */
/* Before the index is opened. Throws away one that made a process fall. */
int index_guard_start(struct store *);
/* Where the map is, told by a small value of it. */
void index_guard_map(struct store *, const MDB_val *);
void index_guard_stop(struct store *);
void index_guard_mark(void);
int index_file_whole(struct store *);

/* ---- store.c ---- */
enum store_error store_errno(const char *what); /* logs errno, but for full disks */
struct folder *store_folder_by_id(struct store *, uint32_t id);
void store_make_room(struct store *); /* before one more folder is loaded */
int time_same(const struct timespec *, const struct timespec *);

/* ---- store_folders.c ---- */
struct folder *folder_lookup(struct store *, const char *name);
struct folder *folder_table_add(struct store *, const char *name);
enum store_error folders_refresh(struct store *, int force);
enum store_error subscriptions_load(struct store *);
void subscriptions_free(struct store *);
int trash_work(struct store *, int max); /* returns what is left of max */
/* Canonical already; special and missing parents as store_create(). */
enum store_error folder_make(struct store *, const char *name, uint32_t special);

/* ---- folder_meta.c ---- */
/* The special use of a new folder of this name that was given none; or 0. */
uint32_t folder_use_of_name(const struct store *, const char *name);
/* Read fife-folder; a folder without one gets a new UIDVALIDITY. */
enum store_error folder_meta_load(struct folder *);
enum store_error folder_meta_save(struct folder *, int sync);
/* Raise the reserves while that costs nothing: before a checkpoint, which syncs. */
void folder_meta_top_up(struct folder *);
/* Room for n more UIDs and one more modseq, durably. */
enum store_error folder_reserve(struct folder *, size_t n);

/* ---- store_acl.c ---- */
void store_acl_open(struct store *);
void folder_acl_free(struct folder *);
/* A new folder gets the list of its parent (RFC 4314, 4). */
enum store_error folder_acl_inherit(struct folder *);

/* ---- folder.c ---- */
enum store_error folder_load(struct folder *);
void folder_unload(struct folder *);
/* UIDNEXT and HIGHESTMODSEQ to the bounds that were reserved. */
enum store_error folder_recover_bounds(struct folder *);
void folder_free(struct folder *);               /* of the table */
void folder_mark(struct folder *, uint32_t uid); /* its record has changed */
struct message *folder_message_by_uid(struct folder *, uint32_t uid);
/* In memory: keeps the order. Takes nothing. -1: no memory. */
int folder_insert(struct folder *, const struct message *, const char *name);
void folder_remove(struct folder *, const uint32_t *uids, size_t n, uint64_t modseq);
size_t folder_clear_recent(struct folder *); /* of all; how many there were */
void folder_apply_flags(
    struct folder *, struct message *, uint8_t flags, uint64_t keywords, uint64_t modseq);
/* A list of UIDs: one more; without memory it is logged and left out. */
void uids_push(uint32_t **, size_t *n, size_t *cap, uint32_t uid);
/* In order, each once; returns how many. */
size_t uids_unique(uint32_t *, size_t n);
bool uids_contain(const uint32_t *, size_t n, uint32_t uid); /* of a list in order */
void folder_queue_rename(struct folder *, uint32_t uid);
void folder_changed(struct folder *); /* watchers, once the operation is complete */
int folder_rename_work(struct folder *, int max);
int folder_unlink_work(struct folder *, int max);
/* Log and insert a new message. delivered and learnt may be NULL. */
enum store_error folder_add(struct folder *, const struct message *, const char *name,
    const struct delivered *, const struct learnt *);
/* Before and after a change of ours to cur: so that ours is not taken for
 * somebody else's, and somebody else's not for ours. */
void folder_times_before(struct folder *);
void folder_times_after(struct folder *);

/* ---- keywords.c ---- */
#define KEYWORD_LISTS_MAX 65536
#define KEYWORD_LISTS_OCTETS (4 * 1024 * 1024)
int folder_keyword_push(struct folder *, const char *name); /* -1: no room */
/* A list as the log or the index has it: ascending, none of the first 26. -1: it is
 * none, or there is no room. */
int keyword_list_put(struct folder *, uint32_t number, const uint16_t *, size_t n);
void keyword_lists_clear(struct folder *);
/* Nothing but messages refers to lists now. */
void keyword_lists_sweep(struct folder *);
/* A set as it was when 64 bits were all. */
uint64_t keywords_of_old(struct folder *, uint64_t bits);

/* ---- learn.c ---- */
void learn_octets(struct learnt *, const uint8_t *, size_t);
void learn_file(struct learnt *, int fd, uint64_t size);
void learn_copy(struct learnt *, struct folder *from, uint32_t uid);
void learnt_clear(struct learnt *);
/* Records into memory; they go to the index with the next checkpoint. -1: not records. */
int folder_learn(struct folder *, uint32_t uid, const uint8_t *, size_t);

/* ---- scan.c ---- */
enum store_error folder_scan(struct folder *);

/* ---- delivery.c ---- */
struct delivered *delivered_find(struct store *, uint64_t queue_id, uint32_t rcpt);
int delivered_add(struct store *, const struct delivered *);
void delivered_forget(struct store *, uint64_t queue_id, uint32_t rcpt);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_STORE_H
#define FIFE_STORE_H

/*
 * One mailbox: a Maildir++ tree as the form of exchange and an lmdb index
 * beside it (man/fife-mailbox.5). One process serves all sessions of a mailbox,
 * so everything here is synchronous and single-threaded; other programs may
 * still put files into the Maildir or take them out, which folder_refresh()
 * notices. Message content is exchanged and stored with CRLF line ends exactly as
 * it came; what is read back is byte for byte what was put in.
 *
 * Folder names are UTF-8 with '/' as hierarchy separator, "INBOX" (in any case)
 * being the top. On disk "a/b" is Maildir/.a.b in modified UTF-7, and a '.' inside
 * a name is "&AC4-".
 */

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct store;
struct folder;

enum store_error {
	STORE_OK = 0,
	STORE_NOT_FOUND, /* no such folder or message */
	STORE_EXISTS,
	STORE_BAD_NAME,
	STORE_HAS_CHILDREN,
	STORE_FULL,     /* quota */
	STORE_NO_SPACE, /* disk */
	STORE_LIMIT,    /* too many folders, keywords, … */
	STORE_GONE,     /* the message's file vanished */
	STORE_IO,       /* logged with its errno */
	STORE_DENIED,   /* the user may see it, but not do that */
	STORE_BINARY,   /* NULs that no transfer encoding can hold */
};
const char *store_error_text(enum store_error); /* a sentence for the user */

#define STORE_NAME_MAX 511      /* octets of a folder's name */
#define STORE_KEYWORDS_MAX 4096 /* of a folder */
#define STORE_KEYWORD_LEN_MAX 128
#define STORE_FOLDERS_MAX 10000

/* System flags; \Recent is the session's, not the store's. */
#define FLAG_SEEN 0x01
#define FLAG_ANSWERED 0x02
#define FLAG_FLAGGED 0x04
#define FLAG_DELETED 0x08
#define FLAG_DRAFT 0x10

/*
 * Opens (creating what is missing: Maildir/{cur,new,tmp}, index/) below the
 * directory dirfd, which stays the caller's. Takes the mailbox's lock. quota: octets, 0
 * none.
 */
enum store_error store_open(int dirfd, uint64_t quota, struct store **);
/* Learns the kernel's boot id while /proc is in reach; forked children inherit it.
 * Without it every opening compares the index with the files. */
void store_prepare(void);
void store_close(struct store *); /* writes what is pending */
/* Flags not yet in the index on disk are written; called by a timer (1 s) and at exit. */
void store_flush(struct store *);
/* What was answered so far is on the disk; for MOVE. */
enum store_error store_sync(struct store *);
/* Work put off (renames, unlinks) is left: flush again soon. */
int store_busy(const struct store *);
uint64_t store_used(struct store *);     /* octets, for quota */
uint64_t store_messages(struct store *); /* the same in messages */
uint64_t store_quota(const struct store *);
uint64_t store_quota_messages(const struct store *); /* 0: none */
/* As the last session's label says. */
void store_set_quota(struct store *, uint64_t octets, uint64_t messages);
/* Has it room for so much more? */
bool store_has_room(struct store *, uint64_t octets, uint64_t messages);

/* ---- folders ---- */

#define FOLDER_NOSELECT 0x01 /* only a parent of others */
#define FOLDER_SUBSCRIBED 0x02
#define FOLDER_HAS_CHILDREN 0x04
#define FOLDER_JUNK 0x10 /* special use, RFC 6154 */
#define FOLDER_SENT 0x20
#define FOLDER_TRASH 0x40
#define FOLDER_DRAFTS 0x80
#define FOLDER_ARCHIVE 0x100

struct folder_info {
	char name[STORE_NAME_MAX + 1];
	uint32_t flags;
};
/* All folders in order of names, INBOX first; also subscribed names that do not
 * exist any more (flags FOLDER_SUBSCRIBED | FOLDER_NOSELECT). *list is
 * free()d by the caller. */
enum store_error store_list(struct store *, struct folder_info **list, size_t *n);
/* Creates missing parents as well. special: one FOLDER_JUNK… bit, or 0: the one that the
 * name is known for ("Trash"), unless another folder has it. */
enum store_error store_create(struct store *, const char *name, uint32_t special);
enum store_error store_delete(struct store *, const char *name);
/* Children move along; renaming INBOX moves its messages and leaves it empty (RFC
 * 9051, 6.3.6). */
enum store_error store_rename(struct store *, const char *from, const char *to);
enum store_error store_subscribe(struct store *, const char *name, int on);

/* ---- who else may do what (acl.h) ---- */

struct acl;
/* Of that folder; borrowed until the next change. NULL: nobody else, or no such one. */
const struct acl *store_acl(struct store *, const char *name);
/* On the disk before it returns. */
enum store_error store_acl_set(struct store *, const char *name, const struct acl *);
/* All identifiers in any folder's list, a line each; *len. -1: they do not fit. */
int store_acl_identifiers(struct store *, char *buf, size_t cap, size_t *len);
/* Raised when what the above says may have changed. */
uint64_t store_acl_generation(const struct store *);
/* There is, or was once, a folder with a list. */
int store_is_shared(const struct store *);
/* Lists that another program has put there are found. */
enum store_error store_acl_rescan(struct store *);
/*
 * The folder that mail to this address of the owner goes to: that which its detail (RFC
 * 5233) names, in any case of ASCII letters, when everybody may post to it. False: there
 * is none.
 */
bool store_post_folder(
    struct store *, const char *recipient, char name[STORE_NAME_MAX + 1]);

/* ---- an open folder, shared by all sessions that have it open ---- */

enum store_error folder_open(struct store *, const char *name, struct folder **);
void folder_close(struct folder *); /* drops the reference */
const char *folder_name(const struct folder *);
/* Look for changes from outside (new files, vanished ones, renamed flags). Cheap
 * when nothing changed: directory times. */
enum store_error folder_refresh(struct folder *);

uint32_t folder_uidvalidity(const struct folder *);
uint32_t folder_uidnext(const struct folder *);
uint64_t folder_highestmodseq(const struct folder *);
/* Stays with the folder when it is renamed (RFC 8474): FOLDER_ID_LEN hex digits. */
#define FOLDER_ID_LEN 32
const char *folder_id(const struct folder *);

/* Its authorised URLs (RFC 4467) were revoked; how often, for sessions to notice. */
void folder_urls_reset(struct folder *);
uint32_t folder_url_resets(const struct folder *);

struct message {
	uint32_t uid;
	uint32_t size;    /* RFC822.SIZE */
	int64_t internal; /* INTERNALDATE, seconds since 1970 */
	uint64_t modseq;
	uint64_t keywords; /* a set: folder_keywords_has() and others */
	uint8_t flags;     /* FLAG_* */
	uint8_t recent;    /* not seen by any read-write session yet */
	int16_t zone;      /* of INTERNALDATE as it was given, minutes east of UTC */
	uint32_t saved;    /* SAVEDATE (RFC 8514), seconds since 1970 */
};
/* Messages in order of UID. Pointers are valid until the folder changes. */
size_t folder_count(const struct folder *);
const struct message *folder_message(const struct folder *, size_t i);
/* Index of the message with this UID, or of the first one above it; *exact
 * tells which (may be NULL). */
size_t folder_find(const struct folder *, uint32_t uid, int *exact);
size_t folder_unseen(const struct folder *);
/* Index of the first one, or folder_count(). */
size_t folder_first_unseen(struct folder *);
/* Index of the last "recent" one below i; SIZE_MAX: none. */
size_t folder_recent_before(struct folder *, size_t i);
size_t folder_recents(const struct folder *);
/* Clears "recent" of all and tells how many there were: for SELECT. */
size_t folder_take_recent(struct folder *);

/*
 * UIDs expunged after a modification sequence, oldest first: cb for each. -1: that far
 * back is not known any more, and cb was not called; every UID that is not there may
 * be one then.
 */
int folder_expunged_since(
    struct folder *, uint64_t modseq, void (*cb)(uint32_t uid, void *), void *arg);

/* Called (from the loop's top or from the change itself) whenever anything of the
 * folder changed, so that sessions in IDLE look. Returns a handle to remove it. */
struct folder_watch;
struct folder_watch *folder_watch(
    struct folder *, void (*cb)(struct folder *, void *), void *arg);
void folder_unwatch(struct folder_watch *);
/* before is called when messages are about to go, or to stand elsewhere: the last time
 * that those of before can be read by their index. */
void folder_watch_before(struct folder_watch *, void (*before)(struct folder *, void *));

/* What happened in the mailbox, also in folders that are not open; for NOTIFY. */
enum store_news_kind {
	STORE_NEWS_MESSAGES, /* of a folder: changes */
	STORE_NEWS_CREATED,
	STORE_NEWS_DELETED,
	STORE_NEWS_RENAMED, /* from old; its children too */
	STORE_NEWS_SUBSCRIPTION,
	STORE_NEWS_METADATA, /* entries; name "": of the mailbox as a whole */
};
#define FOLDER_NEWS_NEW 0x01
#define FOLDER_NEWS_EXPUNGED 0x02
#define FOLDER_NEWS_FLAGS 0x04
#define FOLDER_NEWS_SEEN 0x08 /* \Seen among them */
#define FOLDER_NEWS_GONE 0x10 /* the folder itself */
struct store_news {
	enum store_news_kind kind;
	unsigned int changes; /* FOLDER_NEWS_* */
	int outside;          /* another program did it */
	const char *name;
	const char *old;
	const char *entries; /* names, separated by a space */
};
/* cb is called from within the change: it may only take note. */
struct store_watch;
struct store_watch *store_watch(
    struct store *, void (*cb)(const struct store_news *, void *), void *arg);
void store_unwatch(struct store_watch *);
void store_tell(struct store *, const struct store_news *);
/* Looks for changes from outside: in the list of folders, and in those that are wanted.
 * Cheap when nothing changed: directory times. */
void store_look(struct store *, int (*want)(const char *name, void *), void *arg);
int store_subscribed(const struct store *, const char *name);

/* Keywords: index by name (ASCII case-insensitive); create adds it. -1: none or
 * no room. */
int folder_keyword_find(struct folder *, const char *name, size_t len, int create);
const char *folder_keyword(const struct folder *, int i); /* NULL at the end */
/*
 * Sets of keywords are values of their folder, made by adding to 0, and equal when they
 * hold the same. The next one in it after that (-1: the first); -1: no more.
 */
int folder_keywords_next(const struct folder *, uint64_t set, int after);
bool folder_keywords_has(const struct folder *, uint64_t set, int k); /* k -1: false */
/* -1: no room; the set is as it was. */
int folder_keywords_add(struct folder *, uint64_t *set, int k);
/* Of many at once, in any order. -1: no room. */
int folder_keywords_make(struct folder *, const uint16_t *, size_t n, uint64_t *set);
/* a with b, or without it. -1: no room. */
int folder_keywords_merge(
    struct folder *, uint64_t a, uint64_t b, bool remove, uint64_t *set);

/* ---- content ---- */

struct content {
	const uint8_t *data; /* CRLF as stored */
	size_t len;
	void *copy; /* what data is in, unless it is mapped */
};
/* STORE_GONE when the file vanished (the message is then expunged by the next
 * refresh). */
enum store_error folder_content(struct folder *, uint32_t uid, struct content *);
void content_release(struct content *);

/*
 * Cached values a message, opaque to the store, kept in the index: kind is a
 * small number (1 ENVELOPE, 2 BODYSTRUCTURE, 3 BODY …). Returns 0 and borrowed octets
 * valid until the next store call, or -1.
 */
int folder_cache_get(struct folder *, uint32_t uid, int kind, const uint8_t **, size_t *);
/* Kept in memory and written with the next flush. Best effort. */
void folder_cache_put(struct folder *, uint32_t uid, int kind, const uint8_t *, size_t);

/*
 * Who makes cached values out of a message's octets while it comes in (APPEND, delivery,
 * a file put there): put() for each. Without one nothing is made before it is asked for.
 */
typedef void (*store_learn_fn)(const uint8_t *msg, size_t len,
    void (*put)(void *, int kind, const uint8_t *, size_t), void *arg);
void store_set_learn(store_learn_fn);

/* ---- changes ---- */

enum flag_op {
	FLAG_OP_ADD,
	FLAG_OP_REMOVE,
	FLAG_OP_SET
};
/* One batch: uids ascending. Unknown UIDs are passed over. changed: how many
 * differ now, may be NULL. unchanged_since: 0, or RFC 7162's condition; the UIDs
 * that failed it go to failed (room n), *n_failed. */
enum store_error folder_store(struct folder *, const uint32_t *uids, size_t n,
    enum flag_op, uint8_t flags, uint64_t keywords, uint64_t unchanged_since,
    uint32_t *failed, size_t *n_failed, size_t *changed);
/* The same for some flags only: the others stay as they are. */
struct flag_mask {
	uint8_t flags;
	uint64_t keywords;
};
enum store_error folder_store_masked(struct folder *, const uint32_t *uids, size_t n,
    enum flag_op, uint8_t flags, uint64_t keywords, const struct flag_mask *may,
    uint64_t unchanged_since, uint32_t *failed, size_t *n_failed, size_t *changed);
/* Removes those of the uids that have \Deleted (any: regardless). */
enum store_error folder_expunge(
    struct folder *, const uint32_t *uids, size_t n, int any, size_t *removed);
/* Durable before it returns; to's UIDs of the copies go to new_uids (room n), in the
 * order of uids; keywords are mapped by name. Unknown UIDs: new UID 0. */
enum store_error folder_copy(struct folder *from, const uint32_t *uids, size_t n,
    struct folder *to, uint32_t *new_uids);
/* The same with the flags of the copies cut down to those. */
enum store_error folder_copy_masked(struct folder *from, const uint32_t *uids, size_t n,
    struct folder *to, uint32_t *new_uids, uint8_t flags, int keywords);
/* The same, and what was copied is expunged from the first, both at once for whoever is
 * killed; a full mailbox can be tidied up. uids ascending. */
enum store_error folder_move(struct folder *from, const uint32_t *uids, size_t n,
    struct folder *to, uint32_t *new_uids, uint8_t flags, int keywords);

/* Appending, also large messages piece by piece: begin, write…, then commit or abort. */
struct append;
enum store_error append_begin(struct folder *, uint64_t size, struct append **);
enum store_error append_write(struct append *, const void *, size_t);
/* keywords: bits of this folder. internal: -1 now. Durable (file, directory)
 * before it returns. Frees the append in any case. */
enum store_error append_commit(
    struct append *, uint8_t flags, uint64_t keywords, int64_t internal, uint32_t *uid);
/* Gives its descriptor back until it goes on. */
void append_rest(struct append *);
/* The zone that internal came in, before the commit. */
void append_set_zone(struct append *, int minutes);
/* Not durable until the caller has synced the file system. */
void append_set_lazy(struct append *);
/* Its UID, before the commit; one that has perhaps been given already is not taken, and
 * the message gets the next. */
void append_set_uid(struct append *, uint32_t uid);
/* Binary content as base64 (RFC 3516, 6; recode.h), once all is written, before the
 * commit: no literal but literal8 can have a NUL (RFC 9051, 4.3.1). STORE_BINARY:
 * impossible. */
enum store_error append_to_8bit(struct append *);
void append_abort(struct append *);

/*
 * The next n messages that are added to it, by append_commit() or a copy, are all there
 * after a kill or none of them is. After folder_batch_end() has returned STORE_OK they
 * are all; otherwise the caller takes out what was added. UIDs are given in order.
 */
enum store_error folder_batch_begin(struct folder *, size_t n);
enum store_error folder_batch_end(struct folder *);

/* ---- from another server ---- */

/* The UIDVALIDITY of an empty folder that nobody else has open, with all UIDs to give
 * anew; STORE_EXISTS otherwise. Durable before it returns. */
enum store_error folder_adopt(struct folder *, uint32_t uidvalidity);
/* UIDs below are not given any more. */
enum store_error folder_raise_uidnext(struct folder *, uint32_t uidnext);

/* ---- delivery ---- */

/* Identity of a delivery: the same one is not delivered twice. */
struct delivery {
	uint64_t queue_id;
	uint32_t rcpt;
	uint64_t size; /* of the content without prefix */
	uint32_t crc;
	uint64_t oldest_live; /* ids below are forgotten by the queue */
};
/*
 * Writes prefix and then the octets of fd from 0 to size into the folder (created when
 * missing), by tmp and rename but without fsync: the queue keeps the message
 * until mboxd has run syncfs. *again is 1 when that delivery was known already
 * and nothing was written.
 */
enum store_error store_deliver(struct store *, const char *folder,
    const struct delivery *, const void *prefix, size_t prefix_len, int fd, uint8_t flags,
    int *again);

/* The same with more to say about it. */
struct delivery_form {
	const void *prefix;
	size_t prefix_len;
	int fd;          /* -1: prefix is all of it */
	uint64_t offset; /* where the content begins in fd: size counts from here */
	uint8_t flags;
	const char *keywords; /* separated by a space; those without room are left out */
	uint32_t special;     /* FOLDER_JUNK…, for a folder that is created; or 0 */
};
enum store_error store_deliver_form(struct store *, const char *folder,
    const struct delivery *, const struct delivery_form *, int *again);

/* The mailbox's own directory, above Maildir and index; the store's. */
int store_root(const struct store *);
int store_index_dir(const struct store *);

#endif

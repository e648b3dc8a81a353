/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DIRECTORY_H
#define FIFE_DIRECTORY_H

/*
 * The directory: domains, users, aliases and routes, by address, by login and
 * by domain, in lmdb (fife-directory.5). Nothing outside authd knows that it is
 * lmdb. Addresses are keys as address_fold_key() makes them. Every change is on
 * the disk when the function returns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authd/limits.h"
#include "authd/password.h"
#include "common/proto/address.h"

struct directory;

enum dir_status {
	DIR_OK = 0,
	DIR_NONE,   /* there is no such thing */
	DIR_EXISTS, /* there is one already */
	DIR_BUSY,   /* something still needs it */
	DIR_FULL,   /* no room, no uid left */
	DIR_BAD,    /* malformed value */
	DIR_IO      /* logged */
};
const char *dir_status_text(enum dir_status);

#define GROUP_NAME_MAX 64

struct user {
	char address[ADDRESS_MAX + 1]; /* its key */
	char mailbox[512];             /* directory below the mail root: DOMAIN/LOCAL */
	uint32_t uid;
	int disabled;
	int closed;        /* nothing of others reaches the mailbox */
	int administrator; /* may set limits of mailboxes over IMAP, see quota_admin.h */
	struct password password;
	char forward[1024];  /* addresses and |COMMANDs separated by commas, "": none */
	int forward_keep;    /* a copy stays here */
	char vacation[1024]; /* the automatic answer, as rules.h encodes it; "": none */
	char vacation_subject[256];
	char rules[1500];        /* simple ones, as rules.h keeps them */
	char send_as[1024];      /* addresses and @domains separated by commas */
	char pop3_folders[1024]; /* what POP3 shows, as rules.h encodes it; "": INBOX */
	char apppass[2400];      /* apppass.h */
	int64_t created;         /* seconds since 1970 */
	int64_t since;           /* that it has this address: created, or renamed */
	char group[GROUP_NAME_MAX + 1]; /* "": none */
	struct limits limits;
	char suspect[160]; /* why it looks stolen; "": it does not */
	int64_t suspect_since;
};

struct group {
	char name[GROUP_NAME_MAX + 1];
	struct limits limits;
	char send_as[1024]; /* the members may send as these too */
};

/* uid_first..uid_last: what may be given to mailboxes. NULL: logged. */
struct directory *directory_open(const char *path, uint32_t uid_first, uint32_t uid_last);
void directory_close(struct directory *);

/* The installation's own secret of 32 octets; made at the first call, then the same for
 * ever. It opens nothing: false salts are made with it. */
enum dir_status directory_secret(struct directory *, uint8_t secret[32]);

enum dir_status directory_domain_add(struct directory *, const char *domain);
/* DIR_BUSY while users or aliases of it exist. */
enum dir_status directory_domain_del(struct directory *, const char *domain);
enum dir_status directory_domain_get(struct directory *, const char *domain);
/* Its settings as text (domain.h), "language=zh"; "": none. Of one that is there. */
enum dir_status directory_domain_set(
    struct directory *, const char *domain, const char *settings);
enum dir_status directory_domain_settings(
    struct directory *, const char *domain, char *settings, size_t cap);

/* Gives user->uid and user->mailbox (in: address, password, the rest). */
enum dir_status directory_user_add(struct directory *, struct user *);
enum dir_status directory_user_get(struct directory *, const char *key, struct user *);
enum dir_status directory_user_put(struct directory *, const struct user *);
/*
 * Look at all users in one transaction: change() says 1 when it has changed the user, 0
 * when not, -1 to give up, which is DIR_BAD and changes nobody.
 */
#define DIRECTORY_VALUE_MAX 32768
enum dir_status directory_users_change(
    struct directory *, int (*change)(struct user *, void *), void *arg, size_t *changed);
enum dir_status directory_user_del(struct directory *, const char *key);
/* Moves the record to a new key and mailbox; the old address becomes an alias. */
enum dir_status directory_user_rename(
    struct directory *, const char *key, const char *new_key);

/* targets: addresses separated by one space. key "@domain" is the catch-all. */
#define DIRECTORY_TARGETS_MAX 7600 /* a line of a dump holds it */
enum dir_status directory_alias_put(
    struct directory *, const char *key, const char *targets);
enum dir_status directory_alias_del(struct directory *, const char *key);
enum dir_status directory_alias_get(
    struct directory *, const char *key, char *buf, size_t cap);

/* domain: exact, ".sub" for all below, "*" for the default, "from:ADDRESS" or
 * "from:@DOMAIN" for those of a sender. route: as in common/proto/route.h. */
enum dir_status directory_route_put(
    struct directory *, const char *domain, const char *url);
enum dir_status directory_route_del(struct directory *, const char *domain);
/* The most specific one for a domain; then that of the sender ("": of nobody), then the
 * default; *matched gets its key. */
enum dir_status directory_route_find(struct directory *, const char *domain,
    const char *sender, char *route, size_t cap, char *matched, size_t matched_cap);
/* Are there routes by sender at all? */
bool directory_route_by_sender(struct directory *);

/* Entries of access.h, which knows what key and value are. */
enum dir_status directory_access_put(
    struct directory *, const char *key, const char *value);
enum dir_status directory_access_get(
    struct directory *, const char *key, char *buf, size_t cap);
enum dir_status directory_access_del(struct directory *, const char *key);

/* A user's own list (personal.h), by the user's key; it goes with the user, and with
 * a new name. "" removes it. */
enum dir_status directory_personal_put(
    struct directory *, const char *key, const char *text);
enum dir_status directory_personal_get(
    struct directory *, const char *key, char *buf, size_t cap);
/* Has anybody a list? */
int directory_has_personal(struct directory *);

/* is_new: DIR_EXISTS when there is one. */
enum dir_status directory_group_put(struct directory *, const struct group *, int is_new);
enum dir_status directory_group_get(struct directory *, const char *name, struct group *);
/* DIR_BUSY while somebody is in it. */
enum dir_status directory_group_del(struct directory *, const char *name);

/* Client certificates by fingerprint; value: the account's key, a space, and what
 * cert.h makes of it. They go and move with the account. */
#define CERT_VALUE_MAX 480
enum dir_status directory_cert_put(
    struct directory *, const char *fingerprint, const char *value);
enum dir_status directory_cert_get(
    struct directory *, const char *fingerprint, char *buf, size_t cap);
enum dir_status directory_cert_del(struct directory *, const char *fingerprint);

/*
 * Mailing lists (list.h): text as listconf_format() makes it. is_new: DIR_EXISTS when
 * there is a list, user or alias of that key; DIR_NONE without its domain. They go with
 * their members.
 */
enum dir_status directory_list_put(
    struct directory *, const char *key, const char *text, int is_new);
enum dir_status directory_list_get(
    struct directory *, const char *key, char *buf, size_t cap);
enum dir_status directory_list_del(struct directory *, const char *key);
int directory_has_lists(struct directory *);
/* Who belongs to a list, by its key and his: text as member_encode() makes it. */
enum dir_status directory_member_put(
    struct directory *, const char *list, const char *member, const char *text);
enum dir_status directory_member_get(
    struct directory *, const char *list, const char *member, char *buf, size_t cap);
enum dir_status directory_member_del(
    struct directory *, const char *list, const char *member);
/* All of these at once, or none; change makes the new text (cap octets) from the present
 * one ("": there is none), or returns -1 to leave it as it is. *n_changed counts. */
enum dir_status directory_members_change(struct directory *, const char *list,
    char *const *members, size_t n, int (*change)(char *text, size_t cap, void *),
    void *arg, size_t *n_changed);
/* In order of keys, those behind `after` (""); cb returns nonzero to stop. */
enum dir_status directory_members_walk(struct directory *, const char *list,
    const char *after, int (*cb)(const char *member, const char *text, void *),
    void *arg);

enum dir_table {
	DIR_DOMAINS,
	DIR_USERS,
	DIR_ALIASES,
	DIR_ROUTES,
	DIR_ACCESS,
	DIR_PERSONAL,
	DIR_GROUPS,
	DIR_CERTS,
	DIR_LISTS,
	DIR_MEMBERS,
	DIR_TABLES
};
/* In order of keys, starting after key (start with ""). Copies key and value. */
enum dir_status directory_next(struct directory *, enum dir_table, char *key,
    size_t keycap, char *value, size_t valuecap);

/* A user's record from its text form. 0 or -1. */
int user_decode(const char *key, const char *text, struct user *);
int user_encode(const struct user *, char *buf, size_t cap);
/* The same for a group. */
int group_name_valid(const char *);
int group_decode(const char *name, const char *text, struct group *);
int group_encode(const struct group *, char *buf, size_t cap);
/* The path of an address' mailbox below the mail root: escapes what could not be
 * a file name. 0, or -1 without room. */
int mailbox_path(const char *key, char *out, size_t cap);

#endif

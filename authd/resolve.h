/* SPDX-License-Identifier: ISC */
#ifndef FIFE_RESOLVE_H
#define FIFE_RESOLVE_H

/*
 * Who is meant by an address: users, aliases (nested, loops cut), +detail,
 * catch-all, and the addresses that always work: postmaster (RFC 5321, 4.5.1)
 * and abuse (RFC 2142).
 */

#include "authd/directory.h"
#include "common/msg.h"

#define RESOLVE_TARGETS_MAX 1000

struct resolver {
	struct directory *directory;
	const char *hostname;   /* postmaster@ of it works too */
	const char *postmaster; /* "" for the first user */
	const uint8_t *secret;  /* of rewritten senders (srs.h); NULL: there are none */
};

struct target {
	enum target_kind kind;
	char address[ADDRESS_MAX + 1]; /* printed form */
	char mailbox[512];             /* of a command: the user or alias that names it */
	char command[64];
	uint32_t uid;
	char *rules; /* a Sieve script of the user's settings, or NULL */
};
void resolve_targets_free(struct target *, size_t n);

enum resolve_status {
	RESOLVE_OK,
	RESOLVE_REMOTE, /* not a domain of ours */
	RESOLVE_UNKNOWN,
	RESOLVE_DISABLED,
	RESOLVE_LOOP, /* aliases that lead nowhere but to each other */
	RESOLVE_TOO_MANY,
	RESOLVE_TEMP
};

/* The class of an address, without expansion. */
enum resolve_status resolve_class(const struct resolver *, const char *address);
/*
 * All targets of an address; *targets is free()d by the caller. An alias whose
 * members are partly unknown gives the known ones.
 */
enum resolve_status resolve_targets(
    const struct resolver *, const char *address, struct target **targets, size_t *n);
/*
 * Does that owner, a user or an alias by key, name the command itself? *u is filled when
 * *is_user. RESOLVE_OK, _UNKNOWN (also one that is disabled) or _TEMP.
 */
enum resolve_status resolve_command(const struct resolver *, const char *owner,
    const char *command, struct user *u, int *is_user);
/*
 * May that user (by key) use this address as the sender? It is his own, with or without
 * +detail, or an alias that leads to nobody else, or send_as (as in struct user) has it.
 * Forwarding of other users gives no right. RESOLVE_OK, _UNKNOWN or _TEMP.
 */
enum resolve_status resolve_may_send_as(
    const struct resolver *, const char *user, const char *send_as, const char *sender);
/* Whose address is it: the key of the user to whom it leads alone. RESOLVE_OK,
 * RESOLVE_UNKNOWN (also a group) or RESOLVE_TEMP. */
enum resolve_status resolve_user(
    const struct resolver *, const char *address, char *user, size_t cap);
/* Is the domain (A-labels) ours? */
int resolve_domain_is_local(const struct resolver *, const char *domain);
/* The key of what somebody typed as login: default_domain is added when it has
 * none. 0 or -1. */
int login_key(const char *login, const char *default_domain, char *key, size_t cap);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTS_H
#define FIFE_LISTS_H

/*
 * Mailing lists as far as they are facts of the directory: which addresses are theirs,
 * who belongs to them, who joins and leaves, and whose mail comes back. listd has what is
 * done with a message.
 */

#include "authd/directory.h"
#include "common/msg.h"
#include "common/proto/listconf.h"

#define MEMBER_TEXT_MAX 1024
#define MEMBER_WHY_MAX 160

struct member {
	uint8_t roles; /* LIST_IS_MEMBER, _OWNER, _POSTER */
	int64_t since;
	int64_t suspended; /* since then; 0: it gets mail */
	uint32_t score; /* of bounces: 2 for a hard one, 1 for a soft one, of each day */
	int64_t first_day; /* since 1970: of the first that counts, and of the last */
	int64_t last_day;
	char why[MEMBER_WHY_MAX + 1]; /* of the last */
};

/* Words KEY=VALUE with one space between. 0 or -1. */
int member_decode(const char *text, struct member *);
int member_encode(const struct member *, char *buf, size_t cap);
/*
 * A message came back. Days on which several do count once, and what is older than the
 * window of the list does not count. 1: that was too many, it is suspended now.
 */
int member_bounce(
    struct member *, const struct listconf *, int hard, const char *why, int64_t now);
void member_resume(struct member *);

/* An address (key) of a list: the list's key, and what of it (payload list_take). */
enum dir_status lists_find(struct directory *, const char *key,
    char list[ADDRESS_MAX + 1], char part[ADDRESS_MAX + 1]);
/* The owners, as targets of an alias. */
void lists_owners(struct directory *, const char *list, char *targets, size_t cap);
/* What a post of it needs to be delivered (listpost.h). 0 or -1. */
int lists_post(struct directory *, const uint8_t secret[32], int64_t now,
    const char *list, char *out, size_t cap);
enum dir_status lists_get(struct directory *, const char *list, struct listconf *);

enum dir_status lists_member_get(
    struct directory *, const char *list, const char *member, struct member *);
enum dir_status lists_member_put(
    struct directory *, const char *list, const char *member, const struct member *);
/* Give somebody a role, or take it: DIR_EXISTS or DIR_NONE when he has it, or not. */
enum dir_status lists_role_add(
    struct directory *, const char *list, const char *member, uint8_t role, int64_t now);
enum dir_status lists_role_del(
    struct directory *, const char *list, const char *member, uint8_t role);

struct channel;
/* deliverd-local: who gets a post. */
void lists_answer_members(struct channel *, const struct msg *);
/* listd: what is that list, and what is the author to it; and what somebody asks for. */
void lists_answer_ask(struct channel *, const struct msg *);
void lists_answer_act(struct channel *, const struct msg *);
/* queued: a member was not reached. */
void lists_bounced(const struct msg_list_bounced *);
/* The token of a List-Unsubscribe URI. status: MSG_OK, MSG_UNKNOWN, MSG_TEMP. */
enum answer_status lists_unsubscribe(
    const char *token, char list[ADDRESS_MAX + 1], char member[ADDRESS_MAX + 1]);

#endif

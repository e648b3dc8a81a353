/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LDELIVER_LISTS_H
#define FIFE_LDELIVER_LISTS_H

/*
 * Mail for the addresses of mailing lists, which listd takes, and the members of a list,
 * whom authd names. What is sent because of a message (the post, notices) goes to queued
 * with the result of the recipient, as what scripts send does: so it is sent once,
 * however often a hand-over is interrupted.
 */

#include "common/channel.h"
#include "common/proto/listpost.h"
#include "deliverd/local/outcome.h"
#include "deliverd/local/outlets.h"

/* prefix_build() for a member of a list, with the fields that are his alone; post NULL:
 * as that. buf has PREFIX_MAX octets. */
size_t post_prefix(const struct listpost *post, const char *member, const char *sender,
    const char *address, const uint8_t *rest, size_t rest_len, uint8_t *buf);
/* It is for the list as such: for all of its members. */
int post_is_for_all(const struct listpost *, const char *address);

struct handover;
/* outlets: gets what listd sends; post: of the list (common/proto/listpost.h). */
typedef void (*handover_cb)(const struct outcome *, void *arg);
/* fd is taken. NULL: it could not be asked. cb is never called from inside. */
struct handover *handover_start(struct channel *listd, const struct msg_list_take *,
    int fd, const char *post, struct outlets *, handover_cb, void *arg);
/* The asker is gone. NULL is fine. */
void handover_cancel(struct handover *);

/* The members of a list: each by member(), which returns -1 to fail, then done. */
struct roll;
struct roll *roll_start(struct channel *authd, const char *list,
    int (*member)(const char *address, void *arg), handover_cb done, void *arg);
void roll_cancel(struct roll *);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_ADMIN_H
#define FIFE_MAILBOX_ADMIN_H

/*
 * Root's commands on the mailbox, each a task that is brought forward in steps, so that
 * all sessions get their turn. The store is borrowed. A step works for some
 * milliseconds; what it has done stands when the task is freed before its end.
 */

#include <stdint.h>

#include "common/msg.h"
#include "mailbox/store.h"

enum task_state {
	TASK_MORE, /* call again soon */
	TASK_WAIT, /* call again when the descriptor is ready */
	TASK_DONE  /* the result is complete */
};

struct task {
	void *(*new)(struct store *, const struct msg_mbox_admin *, int fd);
	enum task_state (*step)(void *, struct msg_mbox_admin_done *);
	void (*free)(void *);
};

/* new: NULL without memory. fd stays the caller's and does not block. */
extern const struct task purge_task, reindex_task, export_task, import_task;

/* A word on lists of rights (mailbox/admin_acl.c): rows, then the end, to that request.
 */
struct channel;
void acl_answer(
    struct channel *, uint64_t request, struct store *, const struct msg_acl *);

/* The end of a task: status by the error, with its sentence about what. */
enum task_state task_failed(
    struct msg_mbox_admin_done *, enum store_error, const char *what);
enum task_state task_refused(struct msg_mbox_admin_done *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

/* Names of the selectable folders that the pattern ('*' and '?', "": all) means, in
 * order; free()d by the caller. Without a wildcard it is one folder's name. */
enum store_error task_folders(
    struct store *, const char *pattern, struct folder_info **list, size_t *n);

/* '*' and '?'; ASCII case is ignored. */
int task_glob(const char *pattern, const char *text);

#endif

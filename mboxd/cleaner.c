/* SPDX-License-Identifier: ISC */
/* Emptying discarded directories; see cleaner.h. */
#include "mboxd/cleaner.h"

#include <sys/queue.h>

#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "mboxd/dirs.h"

struct cleaner {
	TAILQ_ENTRY(cleaner) entry;
	pid_t pid;
	char trash[64];
};

static TAILQ_HEAD(, cleaner) cleaners = TAILQ_HEAD_INITIALIZER(cleaners);

void
cleaner_start(const char *trash, uint32_t uid)
{
	struct cleaner *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return; /* the next start finds it */
	strlcpy(k->trash, trash, sizeof(k->trash));
	if ((k->pid = fork()) == 0) {
		compat_closefrom(3);
		setproctitle("-mboxd: removing %s", trash);
		if (setgroups(0, NULL) == -1 || setresgid(uid, uid, uid) == -1 ||
		    setresuid(uid, uid, uid) == -1)
			_exit(1);
		trash_empty(trash);
		_exit(0);
	}
	if (k->pid == -1) {
		free(k);
		return;
	}
	TAILQ_INSERT_TAIL(&cleaners, k, entry);
}

void
cleaner_resume(void)
{
	char trash[64];
	uint32_t uid;

	/* One is enough to go on with. */
	if (trash_next(trash, sizeof(trash), &uid))
		cleaner_start(trash, uid);
}

void
cleaner_ended(pid_t pid, int more)
{
	struct cleaner *k;
	int alone;

	TAILQ_FOREACH (k, &cleaners, entry)
		if (k->pid == pid)
			break;
	if (k == NULL)
		return;
	alone = TAILQ_FIRST(&cleaners) == k && TAILQ_NEXT(k, entry) == NULL;
	/* What could not be removed is tried again at the next start. */
	if (rmdir(k->trash) == 0 && alone && more)
		cleaner_resume();
	TAILQ_REMOVE(&cleaners, k, entry);
	free(k);
}

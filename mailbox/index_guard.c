/* SPDX-License-Identifier: ISC */
/*
 * lmdb trusts its file: a damaged page makes it follow offsets to nowhere. A fault inside
 * the index therefore leaves a mark before the process ends, and the next process throws
 * the index away and takes everything from the files, instead of falling over it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/store_int.h"

#define MARK "damaged"

volatile sig_atomic_t index_inside;

static struct {
	int indexfd;
	uintptr_t from, to; /* the map */
} guard = { .indexfd = -1 };

static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE };
#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))
static struct sigaction before[N_SIGNALS];

/* The next opening throws the index away. */
void
index_guard_mark(void)
{
	int fd;

	if (guard.indexfd == -1)
		return;
	fd = openat(guard.indexfd, MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1)
		close(fd);
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = sig == SIGABRT ? 0 : (uintptr_t)info->si_addr;
	int saved = errno;

	if (guard.indexfd != -1 && (index_inside || (at >= guard.from && at < guard.to)))
		index_guard_mark();
	/* The fault comes again, to whoever had the signal before us; abort() would not
	 * ask him. */
	for (size_t i = 0; i < N_SIGNALS; i++)
		if (signals[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	if (sig == SIGABRT)
		(void)raise(sig);
	errno = saved;
}

int
index_guard_start(struct store *s)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;

	guard.indexfd = s->indexfd;
	guard.from = guard.to = 0;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < N_SIGNALS; i++)
		if (sigaction(signals[i], &sa, &old) == 0 && old.sa_sigaction != on_fault)
			before[i] = old;
	if (faccessat(s->indexfd, MARK, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	log_warnx("the index was found damaged: it is thrown away");
	if (unlinkat(s->indexfd, "data.mdb", 0) == -1 && errno != ENOENT)
		return -1;
	return unlinkat(s->indexfd, MARK, 0);
}

void
index_guard_map(struct store *s, const MDB_val *value)
{
	MDB_envinfo info;
	MDB_stat st;
	uintptr_t page;
	size_t number;

	if (guard.indexfd != s->indexfd || mdb_env_info(s->env, &info) != 0 ||
	    mdb_env_stat(s->env, &st) != 0)
		return;
	/* A page begins with its number, which tells where page 0 is. */
	page = (uintptr_t)value->mv_data & ~((uintptr_t)st.ms_psize - 1);
	memcpy(&number, (const void *)page, sizeof(number));
	if (number > info.me_last_pgno)
		return;
	guard.from = page - number * st.ms_psize;
	guard.to = guard.from + info.me_mapsize;
}

void
index_guard_stop(struct store *s)
{
	if (guard.indexfd == s->indexfd)
		guard.indexfd = -1;
	index_inside = 0;
}

/* Is the file as long as its pages need? lmdb does not look. */
int
index_file_whole(struct store *s)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;

	if (fstatat(s->indexfd, "data.mdb", &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &stat) != 0)
		return 0;
	return (uint64_t)st.st_size / stat.ms_psize > info.me_last_pgno;
}

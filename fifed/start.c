/* SPDX-License-Identifier: ISC */
/*
 * Before the first daemon: the state directory with the owners that let each
 * role reach its own part only, the range of uids, the lock that keeps a second
 * fifed out, and whether all daemons are on the disk.
 */
#include "fifed/internal.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"

#define LOCK_WAIT_MS 5000
#define MAILBOX_UID_OFFSET 50 /* as authd and mboxd count */

static int fail(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));

static int
fail(char *e, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e, cap, fmt, ap);
	va_end(ap);
	return -1;
}

uid_t
start_uid(const struct conf *c, enum role role)
{
	if (role == ROLE_FIFED || role == ROLE_MBOXD || role == ROLE_EXECD)
		return 0;
	return (uid_t)(c->uid_first + (uint32_t)role);
}

static const struct {
	const char *path; /* parents first */
	enum role owner;  /* ROLE_NONE: root */
	mode_t mode;
} directories[] = {
	{ "empty", ROLE_NONE, 0755 },
	{ "log", ROLE_LOGD, 0750 },
	{ "auth", ROLE_AUTHD, 0700 },
	/* Others pass through the spool to the drop directory, and may only put
	 * files there (sendmail(8) while smtpd is away). */
	{ "spool", ROLE_QUEUED, 0711 },
	{ "spool/drop", ROLE_QUEUED, 01733 },
	{ "mail", ROLE_NONE, 0711 },
	{ "filter", ROLE_FILTERD, 0700 },
	{ "scan", ROLE_SCAND, 0700 },
	{ "policy", ROLE_POLICYD, 0700 },
	{ "dns", ROLE_DNSD, 0700 },
	{ "list", ROLE_LISTD, 0700 },
	{ "key", ROLE_KEYD, 0700 },
	/* Programs of the site, as root, put tokens there. */
	{ "key/token", ROLE_KEYD, 0700 },
	{ "ctl", ROLE_NONE, 0700 },
	{ "public", ROLE_NONE, 0755 },
};

static int
make_directory(const struct suite *s, size_t i, char *e, size_t cap)
{
	const struct conf *c = s->conf;
	const char *path = directories[i].path;
	uid_t uid =
	    directories[i].owner == ROLE_NONE ? 0 : start_uid(c, directories[i].owner);
	struct stat st;
	int fd, made = 0;

	if (mkdir(path, 0700) == 0)
		made = 1;
	else if (errno != EEXIST)
		return fail(e, cap, "%s/%s: %s", s->state, path, strerror(errno));
	/* By descriptor: the spool belongs to a daemon, who might put a link there. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		fail(e, cap, "%s/%s: %s", s->state, path, strerror(errno));
		goto bad;
	}
	if (!made && st.st_uid != uid) {
		fail(e, cap,
		    "%s/%s belongs to uid %u, expected %u: \"uids\" of %s is not what "
		    "this state "
		    "directory was made with",
		    s->state, path, (unsigned int)st.st_uid, (unsigned int)uid, c->file);
		goto bad;
	}
	if ((made && fchown(fd, uid, uid) == -1) ||
	    ((st.st_mode & 07777) != directories[i].mode &&
		fchmod(fd, directories[i].mode) == -1)) {
		fail(e, cap, "%s/%s: %s", s->state, path, strerror(errno));
		goto bad;
	}
	close(fd);
	return 0;
bad:
	if (fd != -1)
		close(fd);
	return -1;
}

int
start_state_directory(struct suite *s, char *e, size_t cap)
{
	const struct conf *c = s->conf;
	char state[CONF_PATH_MAX + 1];
	struct stat st;

	if (conf_path(c, c->state, state, sizeof(state)) == -1)
		return fail(
		    e, cap, "%s: path of the state directory is too long", c->file);
	if (mkdir(state, 0755) == -1 && errno != EEXIST)
		return fail(e, cap, "%s: %s", state, strerror(errno));
	if (chdir(state) == -1 || stat(".", &st) == -1)
		return fail(e, cap, "%s: %s", state, strerror(errno));
	if (getcwd(s->state, sizeof(s->state)) == NULL)
		return fail(e, cap, "%s: %s", state, strerror(errno));
	if (st.st_uid != 0 || (st.st_mode & 022) != 0)
		return fail(e, cap,
		    "%s belongs to uid %u with mode %03o, expected root and no write by "
		    "others",
		    state, (unsigned int)st.st_uid, (unsigned int)(st.st_mode & 0777));
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (make_directory(s, i, e, cap) == -1)
			return -1;
	return 0;
}

/* Who has a mailbox's uid can read it: 60001 on are systemd-homed's, for one. */
static void
warn_of_users(const struct conf *c)
{
	const struct passwd *pw;

	setpwent();
	while ((pw = getpwent()) != NULL)
		if (pw->pw_uid >= c->uid_first + MAILBOX_UID_OFFSET &&
		    pw->pw_uid <= c->uid_last) {
			warnx("%s: \"uids\" includes uid %u of the user %s, who could "
			      "read a "
			      "mailbox of that uid: choose another range",
			    c->file, (unsigned int)pw->pw_uid, pw->pw_name);
			break;
		}
	endpwent();
}

/* A name space of users may lack the range: better said now than by a daemon. */
int
start_try_uids(const struct conf *c, char *e, size_t cap)
{
	const uid_t ids[] = { (uid_t)c->uid_first, (uid_t)c->uid_last };
	int status;
	pid_t pid;

	for (size_t i = 0; i < 2; i++) {
		if ((pid = fork()) == -1)
			return fail(e, cap, "fork: %s", strerror(errno));
		if (pid == 0)
			_exit(setgroups(0, NULL) == -1 || setgid((gid_t)ids[i]) == -1 ||
			      setuid(ids[i]) == -1);
		while (waitpid(pid, &status, 0) == -1)
			if (errno != EINTR)
				return fail(e, cap, "waitpid: %s", strerror(errno));
		if (status != 0)
			return fail(e, cap,
			    "uid %u cannot be used on this system: choose another range "
			    "for "
			    "\"uids\" in %s",
			    (unsigned int)ids[i], c->file);
	}
	warn_of_users(c);
	return 0;
}

int
start_lock(struct suite *s, char *e, size_t cap)
{
	char pid[32] = "";
	struct timespec nap = { 0, 50 * 1000000 };
	ssize_t n;

	/* Nobody else may open it: whoever can read a file can lock it. */
	s->lock_fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd == -1 || fchmod(s->lock_fd, 0600) == -1)
		return fail(e, cap, "%s/lock: %s", s->state, strerror(errno));
	for (int waited = 0; flock(s->lock_fd, LOCK_EX | LOCK_NB) == -1; waited += 50) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail(e, cap, "%s/lock: %s", s->state, strerror(errno));
		if (waited >= LOCK_WAIT_MS) {
			n = pread(s->lock_fd, pid, sizeof(pid) - 1, 0);
			pid[n > 0 ? n : 0] = '\0';
			pid[strcspn(pid, "\n")] = '\0';
			return fail(e, cap,
			    "another fifed (pid %s) runs on %s; fifectl stop ends it",
			    pid[0] != '\0' ? pid : "unknown", s->state);
		}
		nanosleep(&nap, NULL);
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(s->lock_fd, 0) == -1 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
		return fail(e, cap, "%s/lock: %s", s->state, strerror(errno));
	return 0;
}

int
start_find_daemons(const struct suite *s, char *e, size_t cap)
{
	char path[PATH_MAX];

	for (int role = ROLE_LOGD; role < ROLE_MAX; role++) {
		int n;

		if (role == ROLE_MAILBOX || role == ROLE_FIFECTL ||
		    role == ROLE_AUTHD_WORKER ||
		    role_by_name(role_name((enum role)role)) == ROLE_NONE)
			continue;
		n = snprintf(path, sizeof(path), "%s/%s", s->libexec, role_name(role));

		if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) == -1)
			return fail(e, cap, "%s: %s: the suite is not complete", path,
			    strerror(errno));
	}
	return 0;
}

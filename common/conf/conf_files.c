/* SPDX-License-Identifier: ISC */
/* fife.conf: the files that it names, and its directory. */
#include "common/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/compat/compat.h"

int
conf_path(const struct conf *c, const char *path, char *buf, size_t cap)
{
	char file[PATH_MAX], *slash;
	int n;

	if (path[0] == '/')
		return strlcpy(buf, path, cap) >= cap ? -1 : 0;
	/* The file may be gone by now: then its name as it was given. */
	if (realpath(c->file, file) == NULL &&
	    strlcpy(file, c->file, sizeof(file)) >= sizeof(file))
		return -1;
	if ((slash = strrchr(file, '/')) == NULL)
		n = snprintf(buf, cap, "%s", path);
	else
		n = snprintf(buf, cap, "%.*s/%s", (int)(slash - file), file, path);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

int
conf_open_file(const struct conf *c, const char *path)
{
	char full[CONF_PATH_MAX + 1];
	struct stat st;
	int fd;

	if (conf_path(c, path, full, sizeof(full)) == -1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int
conf_command_user(const struct conf *c, struct conf_command *k, char *err, size_t cap)
{
	const char *bad;
	struct passwd *pw;
	long long n;

	if (k->m.user[0] == '\0')
		return 0;
	if ((pw = getpwnam(k->m.user)) != NULL) {
		k->m.uid = pw->pw_uid;
		k->m.gid = pw->pw_gid;
		strlcpy(k->m.home, pw->pw_dir, sizeof(k->m.home));
	} else {
		n = strtonum(k->m.user, 1, INT32_MAX, &bad);
		k->m.uid = k->m.gid = bad == NULL ? (uint32_t)n : 0;
		strlcpy(k->m.home, "/", sizeof(k->m.home));
	}
	if (k->m.uid != 0 && k->m.gid != 0)
		return 0;
	snprintf(err, cap, "%s:%u: \"%s\": user %s %s, expected another one", c->file,
	    k->line, k->m.name, k->m.user,
	    pw != NULL ? "is root, or of its group" : "does not exist");
	return -1;
}

/* What would be executed as another user must not be another's to write. */
static int
check_commands(const struct conf *c, char *err, size_t cap)
{
	for (size_t i = 0; i < c->n_commands; i++) {
		struct conf_command k = c->commands[i];
		const char *why = NULL;
		struct stat st;

		if (conf_command_user(c, &k, err, cap) == -1)
			return -1;
		if (k.m.maildir)
			continue;
		if (stat(k.m.path, &st) == -1)
			why = strerror(errno);
		else if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
			why = "not a program";
		else if ((st.st_mode & S_IWOTH) != 0)
			why = "everybody may write it";
		if (why == NULL)
			continue;
		snprintf(err, cap, "%s:%u: command \"%s\": %s: %s, expected a program",
		    c->file, k.line, k.m.name, k.m.path, why);
		return -1;
	}
	return 0;
}

int
conf_check_files(const struct conf *c, char *err, size_t cap)
{
	for (size_t i = 0; i < c->n_tls; i++) {
		const char *paths[] = { c->tls[i].certificate, c->tls[i].key };

		for (int k = 0; k < 2; k++) {
			int fd = conf_open_file(c, paths[k]);

			if (fd == -1) {
				snprintf(err, cap,
				    "%s:%u: %s: %s, expected a file in PEM form", c->file,
				    c->tls[i].line, paths[k], strerror(errno));
				return -1;
			}
			close(fd);
		}
	}
	if (check_commands(c, err, cap) == -1)
		return -1;
	if (c->client_ca[0] != '\0') {
		int fd = conf_open_file(c, c->client_ca);

		if (fd == -1) {
			snprintf(err, cap,
			    "%s: client-ca %s: %s, expected a file in PEM form", c->file,
			    c->client_ca, strerror(errno));
			return -1;
		}
		close(fd);
	}
	return 0;
}

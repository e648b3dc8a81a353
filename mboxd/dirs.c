/* SPDX-License-Identifier: ISC */
/* Mailbox directories; see dirs.h. */
#include "mboxd/dirs.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"

#define TRASH ".trash-"
#define DEPTH_MAX 64

static int
component_valid(const char *s, size_t len)
{
	if (len == 0 || len > 255 || s[0] == '.')
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x21 || s[i] == 0x7f || s[i] == '/')
			return 0;
	return 1;
}

int
mailbox_name_valid(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash != NULL && component_valid(name, (size_t)(slash - name)) &&
	       component_valid(slash + 1, strlen(slash + 1));
}

static const char *
owned_dir(const char *path, uint32_t uid)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? "the mailbox's directory is not there"
				       : "the mailbox's directory cannot be read";
	if (!S_ISDIR(st.st_mode))
		return "the mailbox's directory is no directory";
	if (st.st_uid != uid)
		return "the mailbox's directory belongs to another uid";
	return NULL;
}

const char *
mailbox_dir_check(const char *name, uint32_t uid)
{
	return owned_dir(name, uid);
}

/* The domain's directory: root's, to be passed through only. */
static const char *
domain_dir(const char *name)
{
	char domain[256];
	struct stat st;
	size_t len = strcspn(name, "/");

	if (len >= sizeof(domain))
		return "name too long";
	memcpy(domain, name, len);
	domain[len] = '\0';
	if (mkdir(domain, 0711) == -1 && errno != EEXIST)
		return strerror(errno);
	if (lstat(domain, &st) == -1 || !S_ISDIR(st.st_mode) || st.st_uid != 0)
		return "the domain's directory is not ours";
	return NULL;
}

const char *
mailbox_dir_create(const char *name, uint32_t uid)
{
	const char *bad = domain_dir(name);
	struct stat st;
	int fd;

	if (bad != NULL)
		return bad;
	if (mkdir(name, 0700) == -1) {
		if (errno != EEXIST)
			return strerror(errno);
		/* Root's and ours: an end between the two steps below. */
		if (lstat(name, &st) == -1 || st.st_uid != 0 || rmdir(name) == -1 ||
		    mkdir(name, 0700) == -1)
			return owned_dir(name, uid);
	}
	if (lchown(name, uid, uid) == -1) {
		bad = strerror(errno);
		rmdir(name);
		return bad;
	}
	/* An account that is told to exist has its directory after a power cut too. */
	if ((fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) != -1) {
		(void)fsync(fd);
		close(fd);
	}
	return NULL;
}

const char *
mailbox_dir_rename(const char *from, const char *to, uint32_t uid)
{
	const char *bad = owned_dir(from, uid);
	struct stat st;

	/* Renamed already, when an answer was lost on the way. */
	if (bad != NULL && owned_dir(to, uid) == NULL)
		return NULL;
	if (bad != NULL || (bad = domain_dir(to)) != NULL)
		return bad;
	if (lstat(to, &st) == 0)
		return "there is a directory of the new name";
	return rename(from, to) == -1 ? strerror(errno) : NULL;
}

const char *
mailbox_dir_discard(const char *name, uint32_t uid, char *trash, size_t cap)
{
	const char *bad;
	struct stat st;

	trash[0] = '\0';
	if (lstat(name, &st) == -1 && errno == ENOENT)
		return NULL; /* nothing to remove */
	if ((bad = owned_dir(name, uid)) != NULL)
		return bad;
	for (int i = 0; i < 100; i++) {
		snprintf(trash, cap, TRASH "%u-%08x", uid, arc4random());
		if (lstat(trash, &st) == 0)
			continue;
		return rename(name, trash) == -1 ? strerror(errno) : NULL;
	}
	return "no free name for the directory to be removed";
}

static void
empty(int dirfd, int depth)
{
	struct dirent *e;
	DIR *d = fdopendir(dirfd);

	if (d == NULL) {
		close(dirfd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		int sub;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd, e->d_name, 0) == 0 || depth >= DEPTH_MAX)
			continue;
		sub = openat(
		    dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub == -1)
			continue;
		empty(sub, depth + 1);
		(void)unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

void
trash_empty(const char *trash)
{
	int fd = open(trash, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd != -1)
		empty(fd, 0);
}

int
trash_next(char *trash, size_t cap, uint32_t *uid)
{
	struct dirent *e;
	struct stat st;
	int found = 0;
	DIR *d = opendir(".");

	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, TRASH, strlen(TRASH)) != 0 ||
		    strlcpy(trash, e->d_name, cap) >= cap || lstat(trash, &st) == -1 ||
		    !S_ISDIR(st.st_mode) || st.st_uid == 0)
			continue;
		*uid = st.st_uid;
		found = 1;
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* SPDX-License-Identifier: ISC */
/* libclamav behind guards; see engine.h. */
#include "scand/engine.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <clamav.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define CANARY_TEXT "fife-canary: this text must always be found by the virus engine"
#define CANARY_NAME "Fife.Canary"
#define NESTING_MAX 17
/* What an archive may grow to, as a multiple of the largest message. */
#define GROWTH_MAX 4
/*
 * What unpacking a message may need on the disk: many times its size, but not
 * more than the engine unpacks at all. An archive that grows more is possible, and
 * matters only on a disk so full that queued takes no mail.
 */
#define ROOM_FACTOR 64
#define ROOM_LEAST ((uint64_t)16 * 1024 * 1024)
#define INODES_LEAST 1000

struct engine {
	struct cl_engine *cl;
	unsigned int n_signatures;
	uint64_t growth_max;
	char temp[PATH_MAX];
};

/* The engine's callback has no argument of ours at every place. */
static int complained;
static char complaint[200];

static void
on_message(enum cl_msg severity, const char *full, const char *text, void *context)
{
	if (severity != CL_MSG_ERROR)
		return;
	complained = 1;
	strlcpy(complaint, text, sizeof(complaint));
	complaint[strcspn(complaint, "\r\n")] = '\0';
}

/* The canary's signature is ours, written anew at each start. */
static int
load_canary(struct engine *e, const char *dir)
{
	char path[PATH_MAX];
	int rc = -1;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/canary.ndb", dir) >= sizeof(path))
		return -1;
	unlink(path);
	if ((f = fopen(path, "wx")) == NULL) {
		log_warn("%s", path);
		return -1;
	}
	fprintf(f, "%s:0:*:", CANARY_NAME);
	for (const char *p = CANARY_TEXT; *p != '\0'; p++)
		fprintf(f, "%02x", (unsigned char)*p);
	fputc('\n', f);
	if (fclose(f) == 0 &&
	    cl_load(path, e->cl, &e->n_signatures, CL_DB_STDOPT) == CL_SUCCESS)
		rc = 0;
	unlink(path);
	return rc;
}

static int
set_limits(struct engine *e, const struct engine_settings *s)
{
	long long size = (long long)s->scan_size_max;

	if (strlcpy(e->temp, s->temp_dir, sizeof(e->temp)) >= sizeof(e->temp) ||
	    size < 0 || size > LLONG_MAX / GROWTH_MAX)
		return -1;
	e->growth_max = s->scan_size_max * GROWTH_MAX;
	return cl_engine_set_str(e->cl, CL_ENGINE_TMPDIR, e->temp) == CL_SUCCESS &&
		       cl_engine_set_num(e->cl, CL_ENGINE_MAX_SCANSIZE,
			   size * GROWTH_MAX) == CL_SUCCESS &&
		       cl_engine_set_num(e->cl, CL_ENGINE_MAX_FILESIZE, size) ==
			   CL_SUCCESS &&
		       cl_engine_set_num(e->cl, CL_ENGINE_MAX_SCANTIME,
			   s->timeout_ms / 2) == CL_SUCCESS &&
		       cl_engine_set_num(e->cl, CL_ENGINE_MAX_RECURSION, NESTING_MAX) ==
			   CL_SUCCESS
		   ? 0
		   : -1;
}

/* Without signatures the host goes on; the log and the status say it. */
static int
load_signatures(struct engine *e, const char *path)
{
	int rc;

	if (path[0] == '\0')
		return 0;
	rc = cl_load(path, e->cl, &e->n_signatures, CL_DB_STDOPT);
	if (rc == CL_SUCCESS)
		return 0;
	log_warnx("virus signatures in %s: %s", path, cl_strerror(rc));
	/* What has been loaded so far is in no defined state. */
	cl_engine_free(e->cl);
	e->n_signatures = 0;
	e->cl = cl_engine_new();
	return e->cl == NULL ? -1 : 0;
}

struct engine *
engine_new(const struct engine_settings *s)
{
	struct engine *e = calloc(1, sizeof(*e));
	int rc;

	if (e == NULL)
		return NULL;
	if ((rc = cl_init(CL_INIT_DEFAULT)) != CL_SUCCESS ||
	    (e->cl = cl_engine_new()) == NULL) {
		log_warnx(
		    "virus engine: %s", rc != CL_SUCCESS ? cl_strerror(rc) : "no memory");
		engine_free(e);
		return NULL;
	}
	cl_set_clcb_msg(on_message);
	if (load_signatures(e, s->signatures) == -1 ||
	    load_canary(e, s->prepare_dir) == -1 || set_limits(e, s) == -1 ||
	    (rc = cl_engine_compile(e->cl)) != CL_SUCCESS) {
		log_warnx("virus engine: cannot be prepared: %s",
		    rc != CL_SUCCESS ? cl_strerror(rc) : complaint);
		engine_free(e);
		return NULL;
	}
	return e;
}

void
engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	if (e->cl != NULL)
		cl_engine_free(e->cl);
	free(e);
}

unsigned int
engine_signatures(const struct engine *e)
{
	return e->n_signatures - 1;
}

/* A file in the directory of temporary files that has no name any more; -1 and the
 * reason if nothing can be written there. */
static int
temp_file(const struct engine *e, const char *text, char *why, size_t why_cap)
{
	char path[PATH_MAX + 16];
	size_t len = strlen(text);
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/.writable", e->temp);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd != -1) {
		n = write(fd, text, len);
		if (n >= 0 && (size_t)n < len)
			errno = ENOSPC;
	}
	if (n != (ssize_t)len) {
		snprintf(
		    why, why_cap, "no room for temporary files: %s", strerror(errno));
		if (fd != -1) {
			close(fd);
			unlink(path);
		}
		return -1;
	}
	unlink(path);
	return fd;
}

/* The engine does not tell of temporary files that it could write in part only, so
 * there has to be room for all of them. */
static int
has_room(const struct engine *e, int fd, char *why, size_t why_cap)
{
	uint64_t need, room;
	struct statvfs v;
	struct stat st;

	if (fstat(fd, &st) == -1 || statvfs(e->temp, &v) == -1) {
		strlcpy(why, strerror(errno), why_cap);
		return 0;
	}
	need = e->growth_max;
	if ((uint64_t)st.st_size < need / ROOM_FACTOR)
		need = (uint64_t)st.st_size * ROOM_FACTOR;
	need += ROOM_LEAST;
	room = (uint64_t)v.f_bavail * v.f_frsize;
	if (room >= need && (v.f_files == 0 || v.f_favail >= INODES_LEAST))
		return 1;
	snprintf(why, why_cap, "no room for temporary files: %llu MB free",
	    (unsigned long long)(room >> 20));
	return 0;
}

enum scan_status
engine_scan(struct engine *e, int fd, char *signature, size_t signature_cap, char *why,
    size_t why_cap)
{
	static const char tail[] = ".UNOFFICIAL";
	struct cl_scan_options options = { .general = CL_SCAN_GENERAL_HEURISTICS,
		.parse = ~0u,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX };
	const char *name = NULL;
	unsigned long scanned = 0;
	int rc, test;
	size_t len;

	signature[0] = why[0] = '\0';
	if ((test = temp_file(e, "x", why, why_cap)) == -1)
		return SCAN_ERROR;
	close(test);
	if (!has_room(e, fd, why, why_cap))
		return SCAN_ERROR;
	complained = 0;
	rc = cl_scandesc(fd, "message", &name, &scanned, e->cl, &options);
	if (rc == CL_VIRUS && name != NULL) {
		strlcpy(signature, name, signature_cap);
		len = strlen(signature);
		if (len > sizeof(tail) - 1 &&
		    strcmp(signature + len - sizeof(tail) + 1, tail) == 0)
			signature[len - sizeof(tail) + 1] = '\0';
		return SCAN_FOUND;
	}
	if (rc != CL_CLEAN) {
		strlcpy(why, rc == CL_VIRUS ? "found, without a name" : cl_strerror(rc),
		    why_cap);
		return SCAN_ERROR;
	}
	if (complained) {
		strlcpy(why, complaint, why_cap);
		return SCAN_ERROR;
	}
	/* Others may have filled the disk meanwhile. */
	return has_room(e, fd, why, why_cap) ? SCAN_CLEAN : SCAN_ERROR;
}

int
engine_canary(struct engine *e, char *why, size_t why_cap)
{
	char signature[128];
	enum scan_status st;
	int fd = temp_file(e, CANARY_TEXT, why, why_cap);

	if (fd == -1)
		return 0;
	st = engine_scan(e, fd, signature, sizeof(signature), why, why_cap);
	close(fd);
	if (st == SCAN_FOUND && strcmp(signature, CANARY_NAME) == 0)
		return 1;
	if (st == SCAN_FOUND)
		snprintf(why, why_cap, "found as %s", signature);
	else if (st == SCAN_CLEAN)
		strlcpy(why, "called clean", why_cap);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/* The virus engine: finds, and never calls clean what it could not look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "scand/engine.h"

static char dir[64], temp[80], sigs[80];
static char last_log[512];
static char signature[128], why[256];

/* In two halves, so that no scanner finds this file. */
static const char eicar_a[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$";
static const char eicar_b[] = "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

static void
keep_log(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
	strlcpy(last_log, text, sizeof(last_log));
}

static int
setup(void **state)
{
	char path[120];
	FILE *f;

	strlcpy(dir, "/tmp/fife-engine.XXXXXX", sizeof(dir));
	assert_non_null(mkdtemp(dir));
	snprintf(temp, sizeof(temp), "%s/temp", dir);
	snprintf(sigs, sizeof(sigs), "%s/sigs", dir);
	assert_int_equal(mkdir(temp, 0700), 0);
	assert_int_equal(mkdir(sigs, 0700), 0);
	snprintf(path, sizeof(path), "%s/test.ndb", sigs);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "Eicar-Test-Signature:0:*:");
	for (const char *p = eicar_a; *p != '\0'; p++)
		fprintf(f, "%02x", (unsigned char)*p);
	for (const char *p = eicar_b; *p != '\0'; p++)
		fprintf(f, "%02x", (unsigned char)*p);
	fprintf(f, "\n");
	fclose(f);
	return 0;
}

static int
teardown(void **state)
{
	char path[120];

	snprintf(path, sizeof(path), "%s/test.ndb", sigs);
	unlink(path);
	rmdir(sigs);
	assert_int_equal(rmdir(temp), 0); /* nothing was left in it */
	return rmdir(dir);
}

static struct engine *
engine_start(const char *signatures)
{
	struct engine_settings s = { .signatures = signatures,
		.prepare_dir = dir,
		.temp_dir = temp,
		.scan_size_max = 10000000,
		.timeout_ms = 60000 };

	return engine_new(&s);
}

static enum scan_status
scan(struct engine *e, const char *text, size_t len)
{
	char path[] = "/tmp/fife-scan.XXXXXX";
	enum scan_status st;
	int fd = mkstemp(path);

	assert_true(fd != -1);
	unlink(path);
	/* The offset is left at the end: it must not matter. */
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	st = engine_scan(e, fd, signature, sizeof(signature), why, sizeof(why));
	close(fd);
	return st;
}

static size_t
eicar(char *buf, size_t cap, const char *before, const char *after)
{
	return (size_t)snprintf(buf, cap, "%s%s%s%s", before, eicar_a, eicar_b, after);
}

static const char in_base64[] = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9"
				"JEVJQ0FSLVNUQU5EQVJELUFOVElW\r\n"
				"SVJVUy1URVNULUZJTEUhJEgrSCo=\r\n";
static const char mime_head[] =
    "From: a@b.test\r\nTo: c@d.test\r\nSubject: x\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    "--b\r\nContent-Type: application/octet-stream; name=\"x.com\"\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n";

static void
finds_by_name(void **state)
{
	struct engine *e = engine_start(sigs);
	char m[2000];
	size_t len;

	assert_non_null(e);
	assert_int_equal(engine_signatures(e), 1);
	len = eicar(m, sizeof(m), "", "");
	assert_int_equal(scan(e, m, len), SCAN_FOUND);
	assert_string_equal(signature, "Eicar-Test-Signature");
	len = eicar(m, sizeof(m), "From: a@b.test\r\nSubject: x\r\n\r\n", "\r\n");
	assert_int_equal(scan(e, m, len), SCAN_FOUND);
	assert_string_equal(signature, "Eicar-Test-Signature");
	/* In an attachment. */
	len = (size_t)snprintf(m, sizeof(m), "%s%s--b--\r\n", mime_head, in_base64);
	assert_int_equal(scan(e, m, len), SCAN_FOUND);
	assert_string_equal(signature, "Eicar-Test-Signature");
	engine_free(e);
}

static void
calls_the_rest_clean(void **state)
{
	struct engine *e = engine_start(sigs);
	static const char plain[] = "From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n";

	assert_int_equal(scan(e, plain, sizeof(plain) - 1), SCAN_CLEAN);
	assert_int_equal(scan(e, eicar_a, sizeof(eicar_a) - 1), SCAN_CLEAN);
	assert_int_equal(scan(e, "", 0), SCAN_CLEAN);
	assert_int_equal(engine_canary(e, why, sizeof(why)), 1);
	engine_free(e);
}

/* Descriptors that cannot be read. */
static void
bad_descriptors(void **state)
{
	struct engine *e = engine_start(sigs);
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	assert_int_equal(
	    engine_scan(e, -1, signature, sizeof(signature), why, sizeof(why)),
	    SCAN_ERROR);
	assert_true(why[0] != '\0');
	assert_int_not_equal(
	    engine_scan(e, fd, signature, sizeof(signature), why, sizeof(why)),
	    SCAN_CLEAN);
	close(fd);
	engine_free(e);
}

static void
without_temporary_files_nothing_is_clean(void **state)
{
	struct engine *e = engine_start(sigs);

	assert_int_equal(rmdir(temp), 0);
	assert_int_equal(scan(e, "hello", 5), SCAN_ERROR);
	assert_non_null(strstr(why, "no room for temporary files"));
	assert_int_equal(engine_canary(e, why, sizeof(why)), 0);
	assert_int_equal(mkdir(temp, 0700), 0);
	assert_int_equal(scan(e, "hello", 5), SCAN_CLEAN);
	engine_free(e);
}

/* No octet fits: the test before the scan sees it. */
static void
on_a_full_disk_nothing_is_clean(void **state)
{
	struct engine *e = engine_start(sigs);
	struct rlimit was, none;
	enum scan_status st;
	char path[] = "/tmp/fife-scan.XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	assert_int_equal(write(fd, "hello", 5), 5);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = (struct rlimit){ 0, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	st = engine_scan(e, fd, signature, sizeof(signature), why, sizeof(why));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(st, SCAN_ERROR);
	assert_non_null(strstr(why, "no room for temporary files"));
	close(fd);
	engine_free(e);
}

/* Some fits, but not what the engine unpacks: it would call the virus clean. */
static void
on_a_nearly_full_disk_nothing_is_clean(void **state)
{
	static const char *const sizes[] = { "size=8k", "size=12k", "size=64k", "size=1m",
		"size=15m" };
	struct engine *e = engine_start(sigs);
	char m[2000];
	size_t len =
	    (size_t)snprintf(m, sizeof(m), "%s%s--b--\r\n", mime_head, in_base64);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		enum scan_status st;

		if (mount("none", temp, "tmpfs", 0, sizes[i]) == -1) {
			engine_free(e);
			skip();
		}
		st = scan(e, m, len);
		umount2(temp, MNT_DETACH);
		assert_int_equal(st, SCAN_ERROR);
	}
	assert_int_equal(mount("none", temp, "tmpfs", 0, "size=18m"), 0);
	assert_int_equal(scan(e, m, len), SCAN_FOUND);
	assert_int_equal(scan(e, "hello", 5), SCAN_CLEAN);
	umount2(temp, MNT_DETACH);
	engine_free(e);
}

static void
starts_without_signatures(void **state)
{
	struct engine *e = engine_start("");
	char path[120];
	FILE *f;

	assert_non_null(e);
	assert_int_equal(engine_signatures(e), 0);
	assert_int_equal(engine_canary(e, why, sizeof(why)), 1);
	engine_free(e);

	e = engine_start("/nonexistent/signatures");
	assert_non_null(e);
	assert_non_null(strstr(last_log, "/nonexistent/signatures"));
	assert_int_equal(engine_signatures(e), 0);
	engine_free(e);

	snprintf(path, sizeof(path), "%s/broken.ndb", dir);
	f = fopen(path, "w");
	fprintf(f, "Half:0\n");
	fclose(f);
	e = engine_start(path);
	unlink(path);
	assert_non_null(e);
	assert_non_null(strstr(last_log, "broken.ndb"));
	assert_int_equal(engine_signatures(e), 0);
	assert_int_equal(engine_canary(e, why, sizeof(why)), 1);
	engine_free(e);
}

static void
cannot_be_prepared(void **state)
{
	struct engine_settings s = { .signatures = "",
		.prepare_dir = "/nonexistent",
		.temp_dir = temp,
		.scan_size_max = 1000,
		.timeout_ms = 1000 };

	assert_null(engine_new(&s));
	s.prepare_dir = dir;
	s.scan_size_max = UINT64_MAX;
	assert_null(engine_new(&s));
	engine_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(calls_the_rest_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    without_temporary_files_nothing_is_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    on_a_full_disk_nothing_is_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    on_a_nearly_full_disk_nothing_is_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    starts_without_signatures, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_be_prepared, setup, teardown),
	};

	log_set_stderr(0);
	log_set_sink(keep_log);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

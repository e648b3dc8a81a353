/* SPDX-License-Identifier: ISC */
/* Exit status to result; see sysexits.h. */
#include "execd/sysexits.h"

#include <sys/wait.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define LINE_MAX_LEN 400

static const struct {
	int status;
	enum job_status result;
	const char *enhanced;
	const char *words;
} rows[] = {
	{ 0, JOB_DELIVERED, "2.0.0", "took it" },
	{ EX_USAGE, JOB_FAILED, "5.3.5", "is used wrongly" },
	{ EX_DATAERR, JOB_FAILED, "5.6.0", "cannot use what is in the message" },
	{ EX_NOINPUT, JOB_FAILED, "5.3.0", "found no input" },
	{ EX_NOUSER, JOB_FAILED, "5.1.1", "knows no such user" },
	{ EX_NOHOST, JOB_FAILED, "5.1.2", "knows no such host" },
	{ EX_UNAVAILABLE, JOB_FAILED, "5.3.0", "does not serve that" },
	{ EX_SOFTWARE, JOB_FAILED, "5.3.0", "has a fault" },
	{ EX_OSERR, JOB_DEFERRED, "4.3.0", "was let down by the system" },
	{ EX_OSFILE, JOB_FAILED, "5.3.0", "misses a file of the system" },
	{ EX_CANTCREAT, JOB_FAILED, "5.2.0", "cannot make its output" },
	{ EX_IOERR, JOB_DEFERRED, "4.3.0", "cannot read or write" },
	{ EX_TEMPFAIL, JOB_DEFERRED, "4.3.0", "asks to try again later" },
	{ EX_PROTOCOL, JOB_FAILED, "5.5.0", "was answered wrongly" },
	{ EX_NOPERM, JOB_FAILED, "5.7.0", "does not permit that" },
	{ EX_CONFIG, JOB_FAILED, "5.3.5", "is configured wrongly" },
	/* qmail-command(8) */
	{ 99, JOB_DELIVERED, "2.0.0", "took it" },
	{ 100, JOB_FAILED, "5.3.0", "refused it" },
	{ 111, JOB_DEFERRED, "4.3.0", "asks to try again later" },
};

/* Printable text of one line; what is neither that nor UTF-8 becomes "?". */
static void
first_line(const char *p, size_t len, char out[LINE_MAX_LEN + 1])
{
	const char *end;

	while (len > 0 && strchr("\n\r \t", *p) != NULL && *p != '\0') {
		p++;
		len--;
	}
	if ((end = memchr(p, '\n', len)) != NULL)
		len = (size_t)(end - p);
	while (len > 0 && (p[len - 1] == '\r' || p[len - 1] == ' '))
		len--;
	if (len > LINE_MAX_LEN) {
		len = LINE_MAX_LEN;
		while (len > 0 && ((unsigned char)p[len] & 0xc0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		out[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	out[len] = '\0';
	if (!utf8_valid(out, len))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)out[i] >= 0x80)
				out[i] = '?';
}

/* "5.1.1 " in front of text; its length with what follows, or 0. */
static size_t
code_length(const char *s, char class)
{
	size_t n = 1;

	if (s[0] != class)
		return 0;
	for (int i = 0; i < 2; i++) {
		size_t digits = 0;

		if (s[n++] != '.')
			return 0;
		while (isdigit((unsigned char)s[n + digits]))
			digits++;
		if (digits == 0 || digits > 3)
			return 0;
		n += digits;
	}
	return s[n] == ' ' || s[n] == '\0' ? n : 0;
}

void
sysexits_judge(const char *command, int wait_status, const char *output, size_t len,
    struct msg_exec_ran *out)
{
	char line[LINE_MAX_LEN + 1], ended[80] = "";
	const char *words = "ended oddly", *text = line;
	size_t n;

	memset(out, 0, sizeof(*out));
	out->status = JOB_DEFERRED;
	strlcpy(out->enhanced, "4.3.0", sizeof(out->enhanced));
	if (WIFEXITED(wait_status)) {
		int status = WEXITSTATUS(wait_status);

		snprintf(ended, sizeof(ended), "ended with status %d", status);
		words = ended;
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (rows[i].status == status) {
				out->status = (uint8_t)rows[i].result;
				strlcpy(out->enhanced, rows[i].enhanced,
				    sizeof(out->enhanced));
				words = rows[i].words;
			}
	} else if (WIFSIGNALED(wait_status)) {
		snprintf(ended, sizeof(ended), "was ended by signal %d",
		    WTERMSIG(wait_status));
		words = ended;
	}
	first_line(output, len, line);
	if ((n = code_length(line, out->enhanced[0])) > 0 && n < sizeof(out->enhanced)) {
		memcpy(out->enhanced, line, n);
		out->enhanced[n] = '\0';
		text = line + n + strspn(line + n, " ");
	}
	if (*text != '\0')
		snprintf(out->text, sizeof(out->text), "%s: %s", command, text);
	else
		snprintf(out->text, sizeof(out->text), "%s %s", command, words);
}

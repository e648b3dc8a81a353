/* SPDX-License-Identifier: ISC */
/* What a program of the site says, and what strangers put into its environment. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "execd/environment.h"
#include "execd/sysexits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
output(int status, const char *text, size_t len)
{
	struct msg_exec_ran r;

	sysexits_judge("command", status, text, len, &r);
	if (r.enhanced[0] != (r.status == JOB_DELIVERED   ? '2'
				 : r.status == JOB_FAILED ? '5'
							  : '4') ||
	    r.text[0] == '\0' || !utf8_valid(r.text, strlen(r.text)))
		abort();
	for (const char *p = r.text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			abort();
}

static void
environment(const char *text, size_t len)
{
	struct msg_exec_run *run = calloc(1, sizeof(*run));
	struct environment_facts f = { run, "", "/" };
	struct environment e;
	size_t half = len / 2;

	if (run == NULL)
		return;
	memcpy(run->sender, text, half < 320 ? half : 320);
	memcpy(run->recipient, text + half, len - half < 320 ? len - half : 320);
	strlcpy(run->owner, run->recipient, sizeof(run->owner));
	if (environment_make(&e, &f) == 0) {
		for (int i = 0; i < e.n; i++)
			if (strpbrk(e.v[i], "\n$`;|&<>\"'\\(){}* ") != NULL)
				abort();
		environment_clear(&e);
	}
	free(run);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	output(data[0] << 8, (const char *)data + 1, size - 1);
	environment((const char *)data + 1, size - 1);
	return 0;
}

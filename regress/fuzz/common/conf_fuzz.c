/* SPDX-License-Identifier: ISC */
/* fife.conf: what is accepted prints, and prints the same when read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
print(const struct conf *c, size_t *len)
{
	char *buf = NULL;
	FILE *f = open_memstream(&buf, len);

	if (f == NULL || conf_print(c, f) == -1)
		abort();
	fclose(f);
	return buf;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[1400], *once, *twice;
	size_t once_len, twice_len;
	struct conf *c;

	c = conf_parse("fuzz", (const char *)data, size, err, sizeof(err));
	if (c == NULL)
		return 0;
	once = print(c, &once_len);
	conf_free(c);
	if ((c = conf_parse("again", once, once_len, err, sizeof(err))) == NULL)
		abort();
	twice = print(c, &twice_len);
	conf_free(c);
	if (strcmp(once, twice) != 0)
		abort();
	free(once);
	free(twice);
	return 0;
}

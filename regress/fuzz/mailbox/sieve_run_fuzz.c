/* SPDX-License-Identifier: ISC */
/* Messages, before a script that looks at all of them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/charset.h"
#include "mailbox/sieve/sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "require [\"fileinto\", \"variables\", \"body\", \"mime\", \"foreverypart\", "
    "\"extracttext\", \"date\", \"index\", \"editheader\", \"vacation\", \"enotify\", "
    "\"regex\", \"relational\", \"subaddress\", \"envelope\", \"duplicate\", \"fcc\", "
    "\"comparator-i;unicode-casemap\"];\n"
    "if header :matches [\"subject\", \"from\"] \"*a*?\" { set \"x\" \"${1}${2}\"; }\n"
    "if header :comparator \"i;unicode-casemap\" :contains \"subject\" \"\xc3\xbc\" {}\n"
    "if header :regex \"subject\" \"(a|b)+c?\" { set \"y\" \"${1}\"; }\n"
    "if address :detail :contains [\"from\", \"to\", \"cc\"] \"x\" {}\n"
    "if address :all :count \"ge\" [\"from\", \"to\"] \"1\" {}\n"
    "if body :text :contains \"zz\" {}\n"
    "if body :content \"\" :matches \"*zz*\" {}\n"
    "if body :raw :contains \"zz\" {}\n"
    "if date :index 1 \"received\" \"iso8601\" \"x\" {}\n"
    "if date :originalzone \"date\" \"std11\" \"x\" {}\n"
    "if header :mime :anychild :param \"name\" \"content-type\" \"x\" {}\n"
    "if header :mime :anychild :contenttype \"content-type\" \"x/y\" {}\n"
    "foreverypart { extracttext :first 100 \"z\"; if size :over 1K { break; } }\n"
    "if duplicate {}\n"
    "deleteheader :index 1 :contains \"subject\" \"a\";\n"
    "addheader \"X-Y\" \"${x} ${y} ${z}\";\n"
    "vacation :fcc \"Sent\" :addresses \"user@example.org\" \"away ${x}\";\n"
    "notify \"mailto:a@b.c\";\n"
    "fileinto \"a${y}\";\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sieve_program *program;
	static struct sieve_errors errors;
	static struct sieve_result result;
	struct sieve_input in = { .head = "",
		.data = (const char *)data,
		.len = size,
		.envelope_from = "a@b.c",
		.envelope_to = "user+x@example.org",
		.owner = "user@example.org",
		.hostname = "mx.example.org",
		.separator = '+',
		.now = 1700000000,
		.spam = -1 };

	if (program == NULL) {
		charset_preload();
		program = sieve_compile("fuzz", text, sizeof(text) - 1, NULL, &errors);
		if (program == NULL)
			abort();
	}
	sieve_run(program, &in, &result);
	if (result.n == 0 && !result.cancelled)
		abort();
	sieve_result_clear(&result);
	return 0;
}

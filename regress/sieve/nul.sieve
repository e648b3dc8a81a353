require ["editheader", "variables", "encoded-character"];

set "value" "a ${hex:00}";
addheader "X-Nul" "${value}";

require ["include", "variables"];

global "where";
set "where" "from included";
return;
set "where" "too far";

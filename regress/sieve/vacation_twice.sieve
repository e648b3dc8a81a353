require ["vacation", "reject"];

# To nobody, for the message is not to the owner.
vacation "Away.";
vacation "Still away.";

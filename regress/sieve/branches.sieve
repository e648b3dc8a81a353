if true {
    keep;
} else if header "a" "b" {
    stop;
}
if false {
    nonsense;
}
if anyof (true, nonsense "x") {
    keep;
} elsif nonsense {
    stop;
} else {
    nonsense :of "all" ["kinds"];
}

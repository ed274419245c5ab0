// The one source of the targets that hold precompiled headers (NaruPch.cmake).
int main() { return 0; }

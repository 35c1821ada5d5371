"""The RealWorld ("Conduit") API: the application tier of the reference stack."""

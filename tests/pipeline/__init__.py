"""The product's own processes on real servers, the load on them, and the oracle that counts outside of them."""

"""Fault configurations of Envoy, Istio, APISIX and Toxiproxy: in as rules, and out again as Envoy's and Istio's."""

"""Any OpenAI-compatible endpoint, a `vllm serve` of our own included, by single requests or by the Batch API."""

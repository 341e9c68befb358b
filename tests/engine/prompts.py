"""Prompts that the logits and token tests share: plain text, code, other scripts, chat markup, one character."""

PROMPTS = [
    "The capital of France is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "Ünïcödé 你好 🚀 and 12345 numbers,   spaces\t\ttabs",
    "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n",
    "x",
]

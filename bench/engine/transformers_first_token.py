"""Runs in build/venv-reference: loads FOLDER as it is, generates one token, prints its own peak of memory in bytes."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "support"))
import old_torch  # noqa: E402, F401  (before transformers)

import torch  # noqa: E402
import transformers  # noqa: E402

torch.set_num_threads(int(sys.argv[2]))
folder = sys.argv[1]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
with torch.no_grad():
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    token = int(model(ids).logits[0, -1].argmax())
print(token, flush=True)
status = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1]
print(int(status.split()[0]) * 1024, flush=True)

"""Runs in build/venv-reference: loads FOLDER as it is, generates one token, prints its own peak of memory in bytes."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "support"))
import old_torch  # noqa: E402, F401  (before transformers)

import torch  # noqa: E402
import transformers  # noqa: E402

unique_parameters = torch.nn.Module.named_parameters


def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
    """As in later versions of torch: with `remove_duplicate` false, parameters that are shared come several times."""
    if remove_duplicate:
        yield from unique_parameters(self, prefix, recurse)
        return
    for name, module in self.named_modules(prefix=prefix, remove_duplicate=False) if recurse else [(prefix, self)]:
        for own, parameter in module._parameters.items():
            if parameter is not None:
                yield (f"{name}.{own}" if name else own), parameter


def put_parameter(model, name, tensor):
    """transformers' own uses an argument that torch 1.13 does not have."""
    module, own = transformers.modeling_utils.get_module_from_name(model, name)
    module._parameters[own] = torch.nn.Parameter(tensor, requires_grad=False)


torch.nn.Module.named_parameters = named_parameters
transformers.modeling_utils._load_parameter_into_model = put_parameter
torch.set_num_threads(int(sys.argv[2]))
folder = sys.argv[1]
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
settings = {"dtype": torch.bfloat16, "attn_implementation": "eager"}
model = transformers.AutoModelForCausalLM.from_pretrained(folder, **settings).eval()
with torch.no_grad():
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    token = int(model(ids).logits[0, -1].argmax())
print(token, flush=True)
status = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1]
print(int(status.split()[0]) * 1024, flush=True)

"""The original's request models behind the real FastAPI: what a body must be answered with."""

from typing import Optional

from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, field_validator


def not_blank(value: str, name: str) -> str:
    if not value.strip():
        raise ValueError(f"{name} must not be blank")
    return value.strip()


class Registration(BaseModel):
    model_config = ConfigDict(protected_namespaces=())
    model_name: str
    hf_path: str
    trust_remote_code: bool = False
    cache_location: str = "primary"
    cache_path: Optional[str] = None
    estimated_size_mb: Optional[float] = 5000

    @field_validator("model_name", "hf_path")
    @classmethod
    def blank(cls, value, info):
        return not_blank(value, info.field_name)


class Load(BaseModel):
    model_config = ConfigDict(protected_namespaces=())
    model_name: str
    force_load: bool = False

    @field_validator("model_name")
    @classmethod
    def blank(cls, value):
        return not_blank(value, "model_name")


class Generation(BaseModel):
    prompt: str
    max_tokens: int = Field(256, ge=1, le=4096)
    temperature: float = Field(0.7, ge=0.0, le=2.0)
    top_p: float = Field(0.9, ge=0.0, le=1.0)
    do_sample: bool = True


class Logging(BaseModel):
    enable: bool


app = FastAPI()


@app.post("/api/models", status_code=201)
def register(body: Registration):
    return body


@app.post("/api/orchestrate/load")
def load(body: Load):
    return body


@app.post("/api/generate")
def generate(body: Generation):
    return body


@app.post("/api/generate/stream")
def stream(body: Generation):
    return body


@app.post("/api/config/logging")
def logging(body: Logging):
    return body


@app.post("/api/cache/cleanup")
def cleanup(hf_paths: list[str]):
    return hf_paths


@app.post("/api/cache/check")
def check(cache_location: str = "primary", required_space_mb: float = 0):
    return required_space_mb


@app.delete("/api/models/{name}")
def delete(name: str, delete_files: bool = False):
    return {"message": name}


client = TestClient(app, raise_server_exceptions=False)

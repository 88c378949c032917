//! The hostile matrix: for every token that is accepted, its nearest neighbours that are not.

mod access_token;
mod algorithms;
mod brought_back;
mod header;
mod hostile;
mod id_token;
mod key_set;
mod logout_token;
mod signing;

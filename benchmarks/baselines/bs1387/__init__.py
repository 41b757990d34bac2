"""Parts of ITU-R BS.1387 (PEAQ), basic version, that noise-to-mask ratio and the 2f-model need.

    ear         frames -> magnitude spectra behind the middle ear, and which frames count
    bands       the 109 bands, a quarter of a Bark wide, and what is constant in each
    excitation  spectra -> excitation patterns: internal noise, spreading over bands, smearing
    noise_to_mask, modulation, distortion   one model output variable each

Written from the text and checked against no certified implementation: it is not conformant PEAQ.
Where the text leaves a choice we do as Kabal's program does, whose variables the 2f-model is used
with. Level and pattern adaptation and loudness are not here: none of the three variables uses them.

Source: Rec. ITU-R BS.1387-1 (2001), Annex 2, cited as [BS]; P. Kabal, An examination and
interpretation of ITU-R BS.1387, McGill University (2002), cited as [Kabal].
"""
